"""All that computes gives on another device what it gives on the CPU: on the virtual device to the last bit.

The same tests run on a GPU if there is one (`pytest -m gpu`), where rounding differs.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
import virtual_device
from playing import returns
from slow_stage import mostly_slow
from small_tasks import EVERY_KIND, EVERY_VARIANT, make_vec
from small_training import QUICK, metrics, small_env, small_learner, weights

from gpicl_agents.inspection import ablated, previous_mass, same_class_mass, uniform_same_class_mass
from gpicl_agents.models.base import SequenceAgent
from gpicl_agents.training.checkpoint import load_learner
from gpicl_agents.training.config import RewardConfig, TrainConfig
from gpicl_agents.training.objective import Objective
from gpicl_agents.training.reinforce import train_from_reward
from gpicl_agents.training.rl_problems import POLICY, policy_sizes
from gpicl_agents.training.run_setup import set_up
from gpicl_agents.training.supervised import train
from gpicl_envs import check_learner, evaluate, make_learner
from gpicl_envs.learners.registry import LearnerSpec, find_class, learner_targets
from gpicl_envs.registration import environments
from gpicl_envs.rl.kinds import make_problems
from gpicl_envs.rl.players.registry import make_player
from gpicl_envs.tasks import make_tasks
from gpicl_envs.tasks.classification import TaskDistribution
from gpicl_envs.tasks.oracle import Oracle

LEARNERS = sorted(learner_targets())
TRAINED = [name for name in LEARNERS if issubclass(find_class(learner_targets()[name]), torch.nn.Module)]
SEQUENCE_MODELS = [name for name in TRAINED if issubclass(find_class(learner_targets()[name]), SequenceAgent)]
QUICK_MODELS = "expert-transformer", "gated-deltanet", "gru", "maml", "vsml"  # one of each kind of computation
IDS = sorted(environments().keys() - {"GPICL-Array-v0"})
PROBLEMS = {  # arguments, and the players that draw nothing
    "Bandit": ({"length": 8}, ["ucb1", "gittins", "best"]),
    "TabularMDP": ({"n_episodes": 2}, ["beb", "best"]),
    "DarkRoom": ({"n_episodes": 5}, ["search", "best"]),
}
NO_VIRTUAL = "this torch cannot add a device in Python"
SMALL = {"n_features": 32, "n_classes": 10}
TINY = {"width": 16, "input_rank": 8, "size": 8}  # every operation is there; what a constructor lacks is left out
BRIEF = TrainConfig(steps=2, warmup_steps=1, evaluate_every=2, evaluate_episodes=8)
READS_A_STEP = 2  # whether all actions are allowed
WAITS_A_STEP = 4  # of a GPU, for these
READS_A_TRAINING_STEP = 3  # whether examples repeat, whether a factorisation failed, and the loss with all else


@pytest.fixture(params=["virtual", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    if request.param == "cuda":
        yield torch.device("cuda")
    elif not virtual_device.supports_virtual_device():
        pytest.skip(NO_VIRTUAL)
    else:
        with virtual_device.virtual_device() as made:
            yield made


def assert_equal(here: Any, there: Any, tolerance: float = 1e-3) -> None:
    """Numbers of the CPU and of the device, in nests of dicts and tuples."""
    if isinstance(here, dict):
        assert here.keys() == there.keys()
        here, there = list(here.values()), [there[key] for key in here]
    if isinstance(here, list | tuple):
        for one, other in zip(here, there, strict=True):
            assert_equal(one, other, tolerance)
    elif isinstance(here, torch.Tensor):
        assert there.device.type != "cpu" and here.dtype == there.dtype
        if there.is_cuda and here.is_floating_point() and tolerance:
            assert torch.allclose(here, there.cpu(), atol=tolerance, rtol=tolerance)
        else:
            assert torch.equal(here, there.cpu())


def moved(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, torch.Tensor) else value


# -- Environments -----------------------------------------------------------------------------------------------------


def played(device: Any, env_id: str, steps: int = 8, **arguments: Any) -> list[Any]:
    """What a vector environment of three shows, with ends and new episodes on the way."""
    env = make_vec(env_id, device=device, **arguments)
    seen: list[Any] = [env.reset(seed=0)]
    for t in range(steps):
        env.action_space.seed(t)
        action = torch.from_numpy(env.action_space.sample())
        if arguments.get("autoreset_mode") == "Disabled" and t == 6:
            mask = [True, False, True]
            seen.append(env.reset(options={"reset_mask": mask}))
            seen.append(env.reset())
        seen.append(env.step(moved(action, torch.device(device))))
    seen.append(vars(env.unwrapped.sample_episodes())["x"])
    return seen


@pytest.mark.parametrize("env_id", IDS)
def test_every_environment_steps(device: torch.device, env_id: str):
    arguments = {} if "Regression" in env_id else {"n_features": 16}
    play = partial(played, env_id=env_id, **arguments)
    assert_equal(play("cpu"), play(device))


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
@pytest.mark.parametrize("arguments", [{}, {"action": "logits"}, {"feedback": "reward"}, {"n_tasks": 9}], ids=str)
def test_every_autoreset_mode_and_action(device: torch.device, mode: str, arguments: dict[str, Any]):
    play = partial(played, env_id="GPICL-Digits-v0", autoreset_mode=mode, **arguments)
    assert_equal(play("cpu"), play(device))


@pytest.mark.parametrize("arguments", EVERY_KIND + EVERY_VARIANT, ids=str)
def test_episodes_are_the_same(device: torch.device, arguments: dict[str, Any]):
    few = {} if arguments.get("projection") == "none" else {"n_features": 64}
    given = {"dataset": "MNIST", "length": 20} | few | arguments
    here, there = (TaskDistribution(**given, device=place).sample(4, seed=2) for place in ("cpu", device))
    for name in ("y", "index", "task_id", "x"):
        assert_equal(getattr(here, name), getattr(there, name))


@pytest.mark.parametrize(
    "arguments",
    [{"prior": "SyntheticTables"}, {"prior": "SyntheticTables", "n_classes": 1}, {"mixture": "GeneralMixture"}],
    ids=str,
)
def test_tables_and_mixtures_are_the_same(device: torch.device, arguments: dict[str, Any]):
    here, there = (make_tasks(**arguments, length=20, device=place).sample(12, seed=2) for place in ("cpu", device))
    for name in ("y", "index", "task_id", "x"):
        assert_equal(getattr(here, name), getattr(there, name))
    position = np.zeros(12, np.int64)
    tasks = make_tasks(**arguments, length=20, device=device)
    assert all(value.device.type == device.type for value in tasks.hidden(there, position).parameters.values())


def test_a_step_reads_only_whether_actions_are_allowed(device: torch.device):
    env = make_vec(num_envs=4, device=device, length=20)
    env.reset(seed=0)
    action = torch.zeros(4, dtype=torch.int64, device=device)
    env.step(action)
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("warn")
        with pytest.warns(UserWarning) as caught:
            env.step(action)
            torch.cuda.set_sync_debug_mode("default")
        assert len(caught) <= WAITS_A_STEP, [f"{one.filename}:{one.lineno}" for one in caught]
    else:
        virtual_device.reads.clear()
        env.step(action)
        assert virtual_device.reads.total() <= READS_A_STEP, virtual_device.reads


@pytest.mark.parametrize("problem", PROBLEMS)
def test_problems_and_their_players_are_the_same(device: torch.device, problem: str):
    """Hidden facts and noise to the last bit, also on a GPU: nothing in them is rounded in another way there."""
    arguments, names = PROBLEMS[problem]
    here, there = (make_problems(problem, device=place, **arguments) for place in ("cpu", device))
    problems, copies = here.sample(4, seed=2), there.sample(4, seed=2)
    assert_equal(problems.hidden | problems.noise, copies.hidden | copies.noise, tolerance=0)
    assert_equal(here.best_return(problems), there.best_return(copies))
    for name in names:
        assert_equal(*(returns(make_player(name, made), made, 4) for made in (here, there)))


# -- Learners ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_predicts_and_steps(device: torch.device, name: str):
    sizes = {"n_features": 8, "n_classes": 1} if name in ("least-squares", "dmmse") else SMALL
    episodes = (
        gymnasium.make_vec("GPICL-LinearRegression-v0", num_envs=2, n_features=8, length=6).unwrapped.sample_episodes(0)
        if name in ("least-squares", "dmmse")
        else small_env(batch=2).unwrapped.sample_episodes(0)
    )
    here, there = make_learner(name, **sizes), moved_learner(make_learner(name, **sizes), device)
    x, y = episodes.x, episodes.y
    with torch.no_grad():
        expected, found = here.predict(x, y), there.predict(x.to(device), y.to(device))
    assert_equal(expected, found, tolerance=2e-2 if name in ("maml", "gradient") else 5e-3)
    state = there.start(2)
    previous = torch.zeros(2, sizes["n_classes"], device=device)
    for n in range(3):
        with torch.no_grad():
            logits, state = there.step(state, x[:, n].to(device), previous)
        assert logits.device.type == device.type
        assert torch.allclose(logits.cpu(), found[:, n].cpu(), atol=1e-3, rtol=1e-3)
        label = y[:, n].to(device)
        previous = label[:, None] if sizes["n_classes"] == 1 else torch.nn.functional.one_hot(label, 10).float()


@pytest.mark.parametrize("name", mostly_slow(TRAINED, QUICK_MODELS))
def test_every_trained_learner_passes_its_check(device: torch.device, name: str):
    check_learner(make_learner(name, **SMALL).to(device), length=6, batch_size=2)


def moved_learner(learner: Any, device: torch.device) -> Any:
    return learner.to(device) if isinstance(learner, torch.nn.Module) else learner


def test_learners_that_live_nowhere_are_evaluated_on_the_device(device: torch.device):
    for name in ("knn", "kernel-ridge", "sgd"):
        here, there = (
            evaluate(make_learner(name, **SMALL), small_tasks(place), episodes=20) for place in ("cpu", device)
        )
        assert abs(here.final.mean - there.final.mean) <= (0.05 if device.type == "cuda" else 0)


def test_the_oracle_and_a_model_are_evaluated_on_the_device(device: torch.device):
    clusters = [TaskDistribution("Clusters", length=10, device=place) for place in ("cpu", device)]
    here, there = (evaluate(Oracle(), tasks, episodes=20) for tasks in clusters)
    assert abs(here.final.mean - there.final.mean) <= (0.02 if device.type == "cuda" else 0)
    here, there = (
        evaluate(small_learner().to(place), small_tasks(place), episodes=20) for place in (torch.device("cpu"), device)
    )
    assert there.device.startswith(device.type) and abs(here.final.mean - there.final.mean) <= 0.05


@pytest.mark.parametrize("tokens", ["paired", "paper", "query"])
def test_attention_and_its_masses(device: torch.device, tokens: str):
    sizes = {"tokens": tokens, "width": 16, "n_heads": 2, "n_layers": 2}
    here, there = (make_learner("transformer", **SMALL, **sizes).to(place) for place in ("cpu", device))
    episodes = small_env(batch=2).unwrapped.sample_episodes(0)
    x, y = episodes.x, episodes.y

    def close(expected: torch.Tensor, found: torch.Tensor) -> bool:
        assert found.device.type == device.type
        return torch.allclose(expected, found.cpu(), atol=1e-3 if device.type == "cuda" else 1e-5)

    with torch.no_grad(), ablated(here, [(0, 1)]), ablated(there, [(0, 1)]):
        expected, found = here.attention(x, y), there.attention(x.to(device), y.to(device))
        assert close(expected, found) and close(here.predict(x, y), there.predict(x.to(device), y.to(device)))
    for mass in (same_class_mass, previous_mass):
        assert close(mass(expected, y), mass(found, y.to(device)))
    assert close(uniform_same_class_mass(y), uniform_same_class_mass(y.to(device)))


def small_tasks(device: Any) -> TaskDistribution:
    return TaskDistribution("Digits", split="test", n_features=32, length=10, device=device)


# -- Training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", mostly_slow(TRAINED, QUICK_MODELS))
def test_every_model_trains(device: torch.device, name: str):
    envs = [small_env(device=place, length=6) for place in ("cpu", device)]
    here, there = (LearnerSpec.parse(name).make_for(env.unwrapped.tasks, **TINY) for env in envs)
    config = replace(BRIEF, evaluate_every=0)  # all learners predict in a test of their own
    expected, found = train(here, envs[0], config), train(there, envs[1], config)
    assert found.loss == pytest.approx(expected.loss, abs=5e-3 if device.type == "cuda" else 1e-5)
    if device.type != "cuda":  # derivatives by other formulas
        assert torch.allclose(weights(here), weights(there).cpu(), atol=1e-4)


@pytest.mark.parametrize("name", mostly_slow(SEQUENCE_MODELS, QUICK_MODELS))
def test_every_model_trains_on_functions(device: torch.device, name: str):
    if name.startswith("rl2"):
        pytest.skip("its actions are labels")
    progress = []
    for place in ("cpu", device):
        env = make_vec("GPICL-LinearRegression-v0", num_envs=4, n_features=8, length=6, noise=0.5, device=place)
        learner = LearnerSpec.parse(name).make_for(env.unwrapped.tasks, value_scale=3.0, **TINY)
        progress.append(train(learner, env, BRIEF))
    expected, found = progress
    tolerance = 5e-3 if device.type == "cuda" else 1e-4
    assert found.loss == pytest.approx(expected.loss, abs=tolerance)
    for reference in ("least-squares", "optimal-ridge"):
        here, there = (each.curve.distances[reference].mean() for each in progress)
        assert there == pytest.approx(here, rel=0.05 if device.type == "cuda" else 1e-2)


def test_training_resumes_from_a_checkpoint_of_either_device(device: torch.device, tmp_path: Path):
    whole = small_learner().to(device)
    train(whole, small_env(device=device), QUICK, folder=tmp_path / "whole")

    def stop(progress: Any) -> None:
        progress.stopped = "interrupted" if progress.step == QUICK.checkpoint_every else ""

    for begun in ("cpu", device):
        folder = tmp_path / str(begun)
        train(small_learner().to(begun), small_env(device=begun), QUICK, folder=folder, report=stop)
        resumed = small_learner().to(device)
        train(resumed, small_env(device=device), QUICK, folder=folder, resume=True)
        assert [line["step"] for line in metrics(folder) if "loss" in line] == list(range(1, 13))
        assert torch.equal(weights(load_learner(folder)), weights(resumed).cpu())
        assert torch.allclose(
            weights(whole).cpu(), weights(resumed).cpu(), atol=2e-2 if device.type == "cuda" else 1e-3
        )


@pytest.mark.parametrize("feedback", ["label", "reward"])
@pytest.mark.parametrize("name", ["transformer", "rl2", "rl2-transformer"])
def test_training_from_reward(device: torch.device, name: str, feedback: str, tmp_path: Path):
    if name != "transformer" and feedback == "label":
        pytest.skip("bandit agents never see labels")
    learner = make_learner(name, **SMALL).to(device)
    env = small_env(device=device, feedback=feedback)
    train_from_reward(learner, env, RewardConfig(steps=2, warmup_steps=1, epochs=2), folder=tmp_path)
    assert torch.equal(weights(load_learner(tmp_path)), weights(learner).cpu())


@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1"])
def test_training_from_reward_on_environments_in_numpy(device: torch.device, env: str):
    """The policy is on the device, and its environment is not."""
    given = {"env_kwargs": {"max_episode_steps": 5}, "wrapping": {"trials": 2, "project": 3, "n_actions": 3}}
    learner, venv = set_up("gru,width=8", batch_size=4, env=env, device=str(device), **given)
    config = RewardConfig(steps=2, epochs=2, minibatches=2, evaluate_every=1, evaluate_problems=3)
    progress = train_from_reward(learner, venv, config)
    assert learner.device.type == device.type and progress.evaluated
    player = learner.as_player(venv, greedy=True)
    seen = venv.reset(seed=0)[0]
    action, _ = player.act(player.start(None, 4, torch.Generator()), seen)
    assert action.device.type == device.type and venv.single_action_space.contains(action[0].cpu().numpy())


@pytest.mark.parametrize("name", SEQUENCE_MODELS)
def test_bf16_autocast(device: torch.device, name: str):
    env = small_env(device=device, length=6).unwrapped
    learner, episodes = LearnerSpec.parse(name).make_for(env.tasks, **TINY), env.sample_episodes(0)
    loss, correct = Objective(learner, "bf16")(episodes.x, episodes.y)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.device.type == device.type and correct.shape == episodes.y.shape
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in learner.parameters())


def test_a_step_of_training_reads_few_numbers_from_the_device(device: torch.device):
    """Each read waits for the device: they bound how far a GPU is kept busy."""
    if device.type == "cuda":
        pytest.skip("counted on the virtual device")
    counts = []

    def count(progress: Any) -> None:
        counts.append(virtual_device.reads.total())
        virtual_device.reads.clear()

    config = TrainConfig(steps=4, warmup_steps=1, evaluate_every=0)
    train(small_learner().to(device), small_env(device=device), config, report=count)
    assert set(counts[1:3]) == {READS_A_TRAINING_STEP}


def test_a_step_of_training_from_rewards_reads_few_numbers_from_the_device(device: torch.device):
    """Of each step of the problems whether actions are allowed, of each minibatch whether the gradient is finite."""
    if device.type == "cuda":
        pytest.skip("counted on the virtual device")
    env = gymnasium.make_vec("GPICL-Bandit-v0", num_envs=4, length=6, device=device, autoreset_mode="Disabled")
    policy = make_learner("gru", tasks=policy_sizes(env), width=8, **POLICY)
    counts = []

    def count(progress: Any) -> None:
        counts.append(virtual_device.reads.total())
        virtual_device.reads.clear()

    config = RewardConfig(steps=3, epochs=2, minibatches=2, evaluate_every=0)
    train_from_reward(policy, env, config, report=count)
    assert set(counts[1:]) == {6 + 2 * 2 + 1}  # and once what is reported


# -- What a GPU alone can show ----------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_compiled_training_learns_as_the_plain_one(mode: str):
    config = TrainConfig(steps=3, warmup_steps=1, evaluate_every=3, evaluate_episodes=8)
    plain, compiled = small_learner().to("cuda"), small_learner().to("cuda")
    expected = train(plain, small_env(device="cuda"), config)
    found = train(compiled, small_env(device="cuda"), replace(config, compile_mode=mode))
    assert found.loss == pytest.approx(expected.loss, abs=1e-3)


@pytest.mark.gpu
def test_memory_that_does_not_suffice_says_what_to_lower():
    learner = make_learner("transformer", width=2048, n_layers=8).to("cuda")
    env = gymnasium.make_vec("GPICL-MNIST-v0", num_envs=512, length=200, device="cuda")
    torch.cuda.set_per_process_memory_fraction(0.1)
    try:
        with pytest.raises(MemoryError, match="lower the batch size"):
            train(learner, env, TrainConfig(steps=1, evaluate_every=0))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()


def test_the_virtual_device_refuses_what_cuda_refuses():
    if not virtual_device.supports_virtual_device():
        pytest.skip(NO_VIRTUAL)
    with virtual_device.virtual_device() as device:
        there = torch.arange(3.0, device=device)
        for mix in (
            lambda: there + torch.ones(3),
            lambda: torch.ones(3)[there.long()],
            lambda: torch.where(there > 1, torch.ones(3), 0.0),
            lambda: torch.cat([there, torch.ones(1)]),
            lambda: torch.nn.Linear(3, 1)(there),
        ):
            with pytest.raises(RuntimeError, match="mixes tensors of the virtual device"):
                mix()
        assert (there + torch.tensor(1.0)).tolist() == [1, 2, 3] and there[torch.tensor([2])].tolist() == [2]
        virtual_device.reads.clear()
        assert there.sum().item() == 3 and virtual_device.reads.total() == 1
