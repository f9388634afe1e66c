import warnings
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from slow_stage import in_turn
from small_tasks import SMALL, make, make_vec, play
from torch_surroundings import SURROUNDINGS

from gpicl_envs.datasets import DATASETS, DatasetSpec, load_dataset
from gpicl_envs.registration import environments

REGRESSION_IDS = [env_id for env_id, environment in environments().items() if "function" in environment.arguments]
IDS = [env_id for env_id in environments() if env_id not in REGRESSION_IDS]
IDS_AND_ACTIONS = [(env_id, action) for env_id in IDS for action in ("label", "logits")]
IDS_AND_ACTIONS += [(env_id, "value") for env_id in REGRESSION_IDS]
TABLES, MIXTURE = "GPICL-SyntheticTables-v0", "GPICL-GeneralMixture-v0"


@pytest.mark.parametrize(("id_and_action", "feedback"), in_turn(IDS_AND_ACTIONS, ["label", "reward"]))
def test_check_env_passes(id_and_action: tuple[str, str], feedback: str):
    env_id, action = id_and_action
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(gymnasium.make(env_id, action=action, feedback=feedback).unwrapped)
    avoidable = [
        str(w.message) for w in caught if "infinity" not in str(w.message) and "symmetric" not in str(w.message)
    ]
    assert avoidable == []  # the infinite bounds are the contract: inputs are Gaussian, logits are any numbers


@pytest.mark.parametrize("spec", DATASETS.values(), ids=lambda spec: spec.name)
def test_all_ids_of_ten_classes_or_more_share_the_observation_space(spec: DatasetSpec):
    space = gymnasium.make(spec.env_id).observation_space
    if spec.n_classes is None or spec.n_classes >= 10:
        assert space == gymnasium.make("GPICL-MNIST-v0").observation_space
    else:
        assert space["x"].shape == (784,) and space["y"].shape == (spec.n_classes,)  # type: ignore[index]


def test_tables_and_mixtures_share_the_observation_space():
    space = gymnasium.make("GPICL-MNIST-v0").observation_space
    assert gymnasium.make(TABLES).observation_space == gymnasium.make(MIXTURE).observation_space == space


def test_tables_of_values_pass_check_env():
    env = gymnasium.make(TABLES, n_classes=1, n_features=20, length=9).unwrapped
    check_env(env, skip_render_check=True)
    assert env.action_space.shape == (1,) and env.task.permutation is None


@pytest.mark.parametrize("env_id", REGRESSION_IDS)
def test_all_regression_ids_share_theirs(env_id: str):
    expected = gymnasium.make("GPICL-LinearRegression-v0").observation_space
    assert gymnasium.make(env_id).observation_space == expected and expected["y"].shape == (1,)


def test_a_single_environment_is_the_row_of_its_seed():
    batch = make_vec()
    rows, rewards, infos = play(batch, lambda t, o: torch.full((3,), t))
    for i in range(3):
        env = make()
        observation, _ = env.reset(seed=i)
        for t in range(SMALL["length"]):
            assert np.array_equal(observation["x"], rows[t]["x"][i]) and np.array_equal(
                observation["y"], rows[t]["y"][i]
            )
            observation, reward, terminated, truncated, info = env.step(t)
            assert reward == rewards[t][i] and not truncated and terminated == (t == SMALL["length"] - 1)
            label = infos[t]["label"] if "label" in infos[t] else infos[t]["final_info"]["label"]
            assert info["label"] == label[i]


VARIANTS = (
    {},
    {"n_tasks": 4},
    {"drift_every": 2, "label_noise": 0.4},
    {"projection": "orthogonal", "route": "matrix"},
    {"burstiness": 1, "classes": (2, 9)},
    {"shots": 2, "n_classes": 4, "length": 9},
)
EVERY_KIND = [("GPICL-Digits-v0", variant) for variant in VARIANTS]
EVERY_KIND += [("GPICL-DecisionTree-v0", {}), (TABLES, {}), (TABLES, {"n_classes": 1}), (MIXTURE, {})]


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
@pytest.mark.parametrize("feedback", ["label", "reward"])
@pytest.mark.parametrize("scores", [False, True], ids=["labels", "scores"])
@pytest.mark.parametrize(("env_id", "variant"), EVERY_KIND, ids=str)
def test_it_has_every_bit_of_its_row(env_id: str, variant: dict, scores: bool, feedback: str, surroundings: str):
    """Over three episodes: observations, rewards, ends, infos and hidden tasks; the types are gymnasium's."""
    arguments = {"n_features": 8, "length": 6, "feedback": feedback} | variant
    is_regression = "Tree" in env_id or variant.get("n_classes") == 1
    if scores and not is_regression:
        arguments["action"] = "logits"
    env = gymnasium.make(env_id, **arguments).unwrapped
    batch = gymnasium.make_vec(env_id, num_envs=5, autoreset_mode="NextStep", **arguments).unwrapped
    shape = env.action_space.shape or ()
    rng = np.random.default_rng(0)
    with SURROUNDINGS[surroundings]():
        observation, info = env.reset(seed=12)
        expected, _ = batch.reset(seed=10)
        for _ in range(3):
            for t in range(env.tasks.length):
                assert_row(observation, expected)
                actions = rng.normal(0, 9, (5, *shape)).astype(np.float32) if shape else rng.integers(0, 4, 5)
                observation, reward, terminated, truncated, info = env.step(actions[2])
                expected, rewards, *_, infos = batch.step(torch.from_numpy(actions))
                assert_row(observation, expected)
                assert type(reward) is float and reward == rewards[2].item() and truncated is False
                assert terminated is (t == env.tasks.length - 1)
                assert info == {name: infos[name][2].item() for name in ("task_id", "label") if name in infos}
                assert ("label" in info) is (feedback == "label")
            assert_row({"task": env.task.task_id}, {"task": batch.task.task_id})
            observation, _ = env.reset()
            expected, *_ = batch.step(torch.from_numpy(actions))  # begins the next episode


def assert_row(observation: dict, batch: dict) -> None:
    for name, value in observation.items():
        row = batch[name][2].numpy()
        assert np.array_equal(value, row) and np.asarray(value).dtype == row.dtype


def test_what_is_shown_may_be_changed():
    """An observation is a copy: neither the episode nor the next observation changes with it."""
    for env_id in ("GPICL-Digits-v0", "GPICL-DecisionTree-v0"):
        env, other = make(env_id), make(env_id)
        shown, kept = env.reset(seed=0)[0], other.reset(seed=0)[0]
        zero = env.action_space.sample() * 0
        for _ in range(SMALL["length"]):
            assert np.array_equal(shown["x"], kept["x"]) and np.array_equal(shown["y"], kept["y"])
            shown["x"][:], shown["y"][:] = 7.0, 7.0
            (shown, *_), (kept, *_) = env.step(zero), other.step(zero)
        assert torch.equal(env.unwrapped.episode.y, other.unwrapped.episode.y)


def test_steps_out_of_order_are_refused():
    env = make().unwrapped
    with pytest.raises(ResetNeeded, match=r"before the first reset\(\): call reset\(\) first"):
        env.step(0)
    env.reset(seed=0)
    for _ in range(SMALL["length"]):
        env.step(0)
    with pytest.raises(ResetNeeded, match=r"after the end of the episode: call reset\(\) first"):
        env.step(0)


def test_seeds_repeat_and_differ():
    env = make()
    first = env.reset(seed=5)[0]["x"]
    following = env.reset()[0]["x"]
    assert np.array_equal(env.reset(seed=5)[0]["x"], first) and np.array_equal(env.reset()[0]["x"], following)
    assert not np.array_equal(first, following)
    assert not np.array_equal(env.reset(seed=6)[0]["x"], first)
    assert not np.array_equal(make().reset()[0]["x"], make().reset()[0]["x"])  # unseeded


def test_the_hidden_task_explains_what_is_shown():
    env = make("GPICL-MNIST-v0", route="matrix", n_features=784).unwrapped
    observation, _ = env.reset(seed=0)
    index = int(env.episode.index[0, 0])
    image, label = load_dataset("MNIST").x["train"][index], load_dataset("MNIST").y["train"][index]
    mean, std = load_dataset("MNIST").moments
    expected = env.task.projection @ ((image.ravel() - mean) / std)
    assert np.allclose(observation["x"], expected, atol=1e-4)
    assert env.step(env.task.permutation[label])[1] == 1.0
    assert make().unwrapped.reset() and make("GPICL-MNIST-v0", n_features=784).unwrapped.tasks.route == "cholesky"


def test_the_matrix_of_a_one_off_task_is_not_made():
    env = make("GPICL-MNIST-v0").unwrapped
    env.reset()
    assert env.task.projection is None and env.task.task_id == -1


def test_after_the_last_prediction_there_is_no_input():
    env = make()
    env.reset(seed=0)
    for _ in range(SMALL["length"]):
        observation, _, terminated, _, info = env.step(0)
    assert terminated and (observation["x"] == 0).all() and observation["y"][info["label"]] == 1


def test_unknown_ids_are_refused_by_gymnasium():
    with pytest.raises(gymnasium.error.NameNotFound, match="Did you mean"):
        gymnasium.make("GPICL-MNISTT-v0")


def test_a_window_shows_every_step_and_is_closed():
    closed: list[bool] = []
    env = make(render_mode="human").unwrapped
    env._window.close()
    shown: list[np.ndarray] = []
    env._window = SimpleNamespace(close=lambda: closed.append(True), show=shown.append)
    env.reset(seed=0)
    env.step(0)
    env.close()
    assert closed == [True] and len(shown) == 2 and all(picture.ndim == 3 for picture in shown)
    make().close()  # without a window


def test_an_episode_that_was_not_seeded_can_be_shown_again():
    env = make()
    x = env.reset()[0]["x"]
    assert np.array_equal(make().reset(seed=env.unwrapped.np_random_seed % 2**64)[0]["x"], x)
