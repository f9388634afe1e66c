import gymnasium
import numpy as np
import pytest
import torch
from scipy.stats import kstest

from gpicl_envs.tasks.regression import FUNCTIONS, FunctionDistribution


def least_squares(x: torch.Tensor, y: torch.Tensor, n: int) -> torch.Tensor:
    """(B,) predictions of example n by the least squares fit (of least norm) to the n before it."""
    weight = torch.linalg.lstsq(x[:, :n].double(), y[:, :n, None].double(), driver="gelsd").solution
    return (x[:, n : n + 1].double() @ weight)[:, 0, 0]


# -- Known answers -----------------------------------------------------------------------------------------------------


def test_least_squares_solves_a_linear_task_once_it_has_seen_d_examples():
    episodes = FunctionDistribution("LinearRegression", n_features=10, length=16).sample(200)
    for n in (3, 6, 9):  # unseen directions stay unknown: E(ŷ − y)² = D − n for the fit of least norm
        error = (least_squares(episodes.x, episodes.y, n) - episodes.y[:, n]).square().mean()
        assert error.item() == pytest.approx(10 - n, rel=0.35)
    for n in (10, 15):
        assert (least_squares(episodes.x, episodes.y, n) - episodes.y[:, n]).abs().max() < 0.05


def test_least_squares_has_reward_zero_in_the_environment():
    env = gymnasium.make_vec("GPICL-LinearRegression-v0", num_envs=8, n_features=5, length=12)
    observation, _ = env.reset(seed=0)
    xs, ys, rewards = [observation["x"]], [], []
    for n in range(12):
        x = torch.stack(xs, 1)
        y = torch.cat([*ys, torch.zeros(8, 1)], dim=1)
        observation, reward, *_ = env.step(least_squares(x, y, n)[:, None].float() if n else torch.zeros(8, 1))
        rewards.append(reward)
        xs.append(observation["x"])
        ys.append(observation["y"])
    assert (torch.stack(rewards[6:]) > -0.01).all() and torch.stack(rewards[:3]).mean() < -0.5


def test_noise_is_what_least_squares_cannot_explain():
    """With n examples of D features and noise σ, E(ŷ − y)² = σ² (1 + D / (n − D − 1)) for Gaussian inputs."""
    episodes = FunctionDistribution("LinearRegression", n_features=5, length=61, noise=2.0).sample(3000)
    error = (least_squares(episodes.x, episodes.y, 60) - episodes.y[:, 60]).square().mean()
    assert error.item() == pytest.approx(4.0 * (1 + 5 / 54), rel=0.1)


def test_a_sparse_function_reads_three_coordinates():
    tasks = FunctionDistribution("SparseLinearRegression")
    episodes = tasks.sample(300)
    weight = tasks.parameters(episodes.tasks)["weight"]
    assert ((weight != 0).sum(1) == 3).all() and (weight != 0).any(0).all()
    assert torch.allclose((episodes.x @ weight.unsqueeze(2))[..., 0], episodes.y, atol=1e-4)


def test_a_network_is_that_of_its_parameters_and_has_the_papers_scale():
    tasks = FunctionDistribution("TwoLayerNetwork")
    episodes = tasks.sample(400)
    p = tasks.parameters(episodes.tasks)
    expected = torch.einsum(
        "bnr,br->bn", torch.relu(torch.einsum("bnd,brd->bnr", episodes.x, p["hidden"])), p["output"]
    )
    assert torch.allclose(episodes.y, expected, atol=1e-3)
    # E y² = r · (2/r) · E max(0, w·x)² = 2 · D/2 = D
    assert episodes.y.square().mean().item() == pytest.approx(20, rel=0.1)


def test_a_tree_has_up_to_sixteen_leaves_and_follows_signs():
    tasks = FunctionDistribution("DecisionTree", length=400)
    episodes = tasks.sample(20)
    p = tasks.parameters(episodes.tasks)
    for b in range(20):
        assert set(episodes.y[b].tolist()) <= set(p["leaf"][b].tolist()) and len(episodes.y[b].unique()) > 8
    for n in range(5):
        node = 0
        for _ in range(4):
            node = 2 * node + (2 if episodes.x[0, n, p["coordinate"][0, node]] > 0 else 1)
        assert episodes.y[0, n] == p["leaf"][0, node - 15]


def test_inputs_are_standard_normal():
    x = FunctionDistribution("DecisionTree").sample(50).x
    assert kstest(x.flatten().numpy()[::7], "norm").pvalue > 1e-4


# -- The same frame as classification ----------------------------------------------------------------------------------


@pytest.mark.parametrize("function", FUNCTIONS)
def test_episodes_do_not_depend_on_batch_size_and_tasks_on_nothing_but_their_id(function: str):
    tasks = FunctionDistribution(function, n_tasks=2**20, length=10)
    together = tasks.sample(6, seed=3)
    alone = tasks.sample(1, seed=3, first=4)
    assert torch.equal(alone.x[0], together.x[4]) and torch.allclose(alone.y[0], together.y[4], atol=1e-4)
    zeros, ids = np.zeros(1, np.uint64), torch.tensor([77])
    one, other = (tasks.episodes(zeros + np.uint64(seed), zeros, task_ids=ids) for seed in (1, 2))
    for name, value in tasks.parameters(one.tasks).items():
        assert torch.equal(value, tasks.parameters(other.tasks)[name])
    assert not torch.equal(one.x, other.x)


def test_the_reward_is_minus_the_squared_error_and_y_the_value_before():
    env = gymnasium.make_vec("GPICL-DecisionTree-v0", num_envs=3, length=4)
    observation, info = env.reset(seed=0)
    assert (observation["y"] == 0).all()
    y = env.unwrapped.episodes.y.clone()
    for n in range(3):
        guess = torch.full((3, 1), float(n))
        observation, reward, *_, info = env.step(guess)
        assert torch.equal(observation["y"][:, 0], y[:, n]) and torch.equal(info["label"], y[:, n])
        assert torch.allclose(reward, -(guess[:, 0] - y[:, n]).square())


def test_bandit_feedback_shows_the_reward_only():
    env = gymnasium.make_vec("GPICL-DecisionTree-v0", num_envs=3, length=4, feedback="reward")
    env.reset(seed=0)
    observation, reward, *_ = env.step(torch.ones(3, 1))
    assert torch.equal(observation["y"][:, 0], reward)


def test_a_drifting_function_changes_and_its_hidden_parameters_follow():
    env = gymnasium.make("GPICL-LinearRegression-v0", length=6, drift_every=3).unwrapped
    env.reset(seed=0)
    weights = []
    for n in range(6):
        weight = env.task.parameters["weight"]
        assert env.episode.x[0, n].numpy() @ weight == pytest.approx(float(env.episode.y[0, n]), abs=1e-4)
        weights.append(tuple(weight))
        env.step(np.zeros(1, np.float32))
    assert len(set(weights)) == 2 and weights[2] != weights[3]


def test_splits_and_seeds_draw_other_functions():
    draws = [
        FunctionDistribution(split=split).sample(1, seed=seed).y
        for split, seed in (("train", 0), ("test", 0), ("train", 1))
    ]
    assert not torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    unseen = FunctionDistribution(n_tasks=4, noise=0.5).unseen()
    assert unseen.n_tasks is None and unseen.split == "test" and unseen.noise == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"function": "Linear"}, "Unknown function 'Linear'. Did you mean 'LinearRegression'"),
        ({"function": "SparseLinearRegression", "n_features": 2}, "n_features=2 is not allowed: .* at least 3"),
        ({"noise": -1}, "noise=-1 is not allowed: give a finite number of at least 0"),
        ({"drift_every": 100}, "drift_every=100 is not allowed"),
        ({"length": 0}, "length=0"),
        ({"split": "val"}, "Unknown split"),
    ],
    ids=str,
)
def test_bad_arguments_say_what_is_allowed(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        FunctionDistribution(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_classes": 5}, "FunctionDistribution got an unexpected keyword argument 'n_classes'"),
        ({"action": "label"}, "Unknown action 'label'. .*Valid: value"),
    ],
    ids=str,
)
def test_what_only_classification_has_is_refused(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        gymnasium.make("GPICL-LinearRegression-v0", **arguments)


def test_a_value_must_be_finite():
    env = gymnasium.make("GPICL-LinearRegression-v0").unwrapped
    env.reset(seed=0)
    with pytest.raises(ValueError, match="value nan: give finite float32 values"):
        env.step([float("nan")])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_variance_of_the_values_is_the_one_stated(function: str):
    tasks = FunctionDistribution(function, length=8, n_features=6)
    y = tasks.sample(8000, seed=3).y.double()
    assert y.square().mean().item() == pytest.approx(tasks.target_variance, rel=0.07)
    noisy = FunctionDistribution(function, length=8, n_features=6, noise=2.0)
    assert noisy.target_variance == tasks.target_variance  # of the function alone


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_first_function_returns(function: str):
    tasks = FunctionDistribution(function, length=35, drift_every=10, drift="return", n_features=4)
    episodes = tasks.sample(3)
    of_a, of_b = (tasks.function.apply(tasks.parameters(episodes.tasks, segment), episodes.x) for segment in (0, 1))
    for segment, at in enumerate(tasks.segments()):
        own, other = (of_a, of_b)[:: 1 if segment % 2 == 0 else -1]
        assert torch.allclose(episodes.y[:, at], own[:, at], atol=1e-5)
        assert not torch.allclose(episodes.y[:, at], other[:, at], atol=1e-2)
    with pytest.raises(ValueError, match="Unknown drift 'labels'"):
        FunctionDistribution(drift_every=9, drift="labels")
