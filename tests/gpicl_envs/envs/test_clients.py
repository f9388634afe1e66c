"""The environments in the hands of the libraries that people train with, and of gymnasium's own machinery."""

import copy
import json
import pickle
import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeAwareObservation, TransformAction
from gymnasium.wrappers import vector as vector_wrappers

import gpicl_envs  # noqa: F401 (registers the ids)
from gpicl_envs.registration import environments
from gpicl_envs.wrappers.vector import FlattenObservation, TorchToNumpy, to_numpy

IDS = {env_id: "function" in environment.arguments for env_id, environment in environments().items()}
WITHOUT_IDS = ("GPICL-GeneralMixture-v0", "GPICL-RealTable-v0")  # of tasks
LENGTH, SMALL = 5, {"n_features": 8, "length": 5}
VARIANTS = [(action, feedback) for action in ("label", "logits") for feedback in ("label", "reward")]
IDS_AND_ACTIONS = [
    (env_id, action)
    for env_id, is_regression in IDS.items()
    for action in (["value"] if is_regression else ["label", "logits"])
]


def make(env_id: str = "GPICL-Digits-v0", **arguments):
    return gymnasium.make(env_id, **(SMALL | arguments))


def make_vec(num_envs: int = 2, **arguments):
    return gymnasium.make_vec("GPICL-Digits-v0", num_envs=num_envs, **(SMALL | arguments))


def make_async() -> AsyncVectorEnv:
    """In processes begun afresh, where nothing is inherited; `test_forking.py` tries forked ones."""
    vector_kwargs = {"context": "spawn", "autoreset_mode": AutoresetMode.SAME_STEP}
    return make_vec(vectorization_mode="async", vector_kwargs=vector_kwargs)


# -- One seed, one episode ---------------------------------------------------------------------------------------------

# Each client plays the actions 0, 1, 2, … from seeds 3 and 4 and gives, for every step, x and y as shown before it and
# the reward for it: (N, 2, D), (N, 2, K), (N, 2).
Played = tuple[np.ndarray, np.ndarray, np.ndarray]


def play_vector(env) -> Played:
    observation, _ = to_numpy(env.reset(seed=3))
    xs, ys, rewards = [], [], []
    for t in range(LENGTH):
        xs.append(observation["x"].copy()), ys.append(observation["y"].copy())
        observation, reward, *_ = to_numpy(env.step(np.full(2, t)))
        rewards.append(reward)
    env.close()
    return np.stack(xs), np.stack(ys), np.stack(rewards)


def play_single() -> Played:
    rows = []
    for seed in (3, 4):
        env = make()
        observation, _ = env.reset(seed=seed)
        steps = []
        for t in range(LENGTH):
            before = observation
            observation, reward, *_ = env.step(t)
            steps.append((before["x"], before["y"], reward))
        rows.append([np.stack(part) for part in zip(*steps, strict=True)])
    x, y, reward = (np.stack(part, 1) for part in zip(*rows, strict=True))
    return x, y, reward


def play_sb3() -> Played:
    pytest.importorskip("stable_baselines3", reason="needs gpicl-envs[rl]")
    from gpicl_envs.wrappers.sb3 import Sb3VecEnv

    env = Sb3VecEnv("GPICL-Digits-v0", num_envs=2, **SMALL)
    env.seed(3)
    observation = env.reset()
    xs, ys, rewards = [], [], []
    for t in range(LENGTH):
        xs.append(observation["x"]), ys.append(observation["y"])
        observation, reward, _, _ = env.step(np.full(2, t))
        rewards.append(reward)
    return np.stack(xs), np.stack(ys), np.stack(rewards)


def torchrl_rollout(env, shape: tuple[int, ...], **reset_arguments):
    """A rollout from a seeded reset with the actions 0, 1, 2, …"""
    steps = iter(range(LENGTH))

    def policy(tensordict):
        return tensordict.set("action", env.action_spec.encode(np.full(shape, next(steps))))

    start = env.reset(**reset_arguments)
    return env.rollout(LENGTH, policy, auto_reset=False, tensordict=start, break_when_any_done=False)


def play_torchrl_gym_env() -> Played:
    envs = pytest.importorskip("torchrl.envs", reason="needs gpicl-envs[rl]")
    rows = []
    for seed in (3, 4):
        env = envs.GymEnv("GPICL-Digits-v0", **SMALL)
        shown = torchrl_rollout(env, (), seed=seed)
        rows.append([shown["x"].numpy(), shown["y"].numpy(), shown["next", "reward"].numpy()[:, 0]])
    x, y, reward = (np.stack(part, 1) for part in zip(*rows, strict=True))
    return x, y, reward


def play_torchrl_vector() -> Played:
    envs = pytest.importorskip("torchrl.envs", reason="needs gpicl-envs[rl]")
    env = envs.GymWrapper(make_vec(autoreset_mode="Disabled"))
    shown = torchrl_rollout(env, (2,), seed=3)
    return (
        shown["x"].transpose(0, 1).numpy(),
        shown["y"].transpose(0, 1).numpy(),
        shown["next", "reward"][..., 0].T.numpy(),
    )


CLIENTS = {
    "vector environment": lambda: play_vector(make_vec()),
    "TorchToNumpy": lambda: play_vector(TorchToNumpy(make_vec())),
    "SyncVectorEnv": lambda: play_vector(make_vec(vectorization_mode="sync")),
    "AsyncVectorEnv": lambda: play_vector(make_async()),
    "Sb3VecEnv": play_sb3,
    "TorchRL GymEnv": play_torchrl_gym_env,
    "TorchRL GymWrapper of the vector environment": play_torchrl_vector,
}


@pytest.mark.parametrize("client", CLIENTS)
def test_one_seed_shows_the_same_numbers_everywhere(client: str):
    played, expected = CLIENTS[client](), play_single()
    for mine, wanted in zip(played, expected, strict=True):
        assert mine.shape == wanted.shape and np.array_equal(mine, wanted)
    x, y, _ = expected
    assert (y[0] == 0).all() and (y[1:].sum(2) == 1).all() and not np.array_equal(x[:, 0], x[:, 1])


# -- Gymnasium ---------------------------------------------------------------------------------------------------------


def test_gymnasiums_processes_show_what_its_loop_shows():
    """Over the end of an episode, with the final observations."""
    theirs = SyncVectorEnv([make] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    ours = make_async()
    ours.reset(seed=0), theirs.reset(seed=0)
    for t in range(LENGTH + 1):
        observation, reward, terminated, _, info = ours.step(np.array([t, t + 1]))
        expected, expected_reward, *_, expected_info = theirs.step(np.array([t, t + 1]))
        assert np.array_equal(observation["x"], expected["x"]) and np.array_equal(reward, expected_reward)
        if t == LENGTH - 1:
            assert terminated.all()
            for one, other in zip(info["final_obs"], expected_info["final_obs"], strict=True):
                assert np.array_equal(one["y"], other["y"]) and one["y"].sum() == 1
    ours.close()


@pytest.mark.parametrize("env_id", IDS)
def test_specs_round_trip(env_id: str):
    """As pickles and as JSON, of both kinds of environment; what comes back makes the same environment."""
    variant = {"split": "test"} if env_id in WITHOUT_IDS else {"n_tasks": 4}
    env = make(env_id, **variant, feedback="reward")
    again = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.spec == env.spec == pickle.loads(pickle.dumps(env.spec))
    assert np.array_equal(env.reset(seed=1)[0]["x"], again.reset(seed=1)[0]["x"])

    batch = gymnasium.make_vec(env_id, num_envs=2, autoreset_mode="NextStep", **SMALL)
    copied = gymnasium.make_vec(EnvSpec.from_json(batch.spec.to_json()))
    assert json.loads(batch.spec.to_json())["kwargs"]["num_envs"] == copied.num_envs == 2
    assert copied.spec == batch.spec == pickle.loads(pickle.dumps(batch.spec))
    assert copied.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert torch.equal(batch.reset(seed=1)[0]["x"], copied.reset(seed=1)[0]["x"])


def test_the_spec_has_the_length_of_an_episode_and_the_end_is_one():
    """`TimeAwareObservation` needs it, among others; no `TimeLimit` adds a truncation to the termination."""
    env = make(length=7)
    assert env.spec.max_episode_steps == env.unwrapped.spec.max_episode_steps == 7
    assert gymnasium.spec("GPICL-Digits-v0").max_episode_steps is None  # a length may still be given
    timed = TimeAwareObservation(env, flatten=False, normalize_time=True)
    times = [float(timed.reset(seed=0)[0]["time"][0])]
    for t in range(7):
        observation, _, terminated, truncated, _ = timed.step(0)
        times.append(float(observation["time"][0]))
        assert terminated is (t == 6) and truncated is False
    assert times == pytest.approx([t / 7 for t in range(8)])
    shots = gymnasium.make("GPICL-Digits-v0", shots=2, n_classes=3)
    assert shots.spec.max_episode_steps == 7 == shots.unwrapped.tasks.length


def test_an_environment_made_again_from_its_spec_ends_at_the_same_step():
    """There, gymnasium adds a `TimeLimit` of the spec's length, unless it is told not to."""
    spec = make(length=7).spec
    for arguments, truncates in (({}, True), ({"max_episode_steps": -1}, False)):
        env = gymnasium.make(spec, **arguments)
        env.reset(seed=0)
        ends = [env.step(0)[2:4] for _ in range(7)]
        assert ends[:6] == [(False, False)] * 6 and ends[6] == (True, truncates)
        assert env.spec.max_episode_steps == 7


def test_a_prefix_imports_the_package():
    """In a process that has not imported it, as the workers of libraries are."""
    code = (
        "import gymnasium; env = gymnasium.make('gpicl_envs:GPICL-Digits-v0', length=3); env.reset(seed=0); "
        "venv = gymnasium.make_vec('gpicl_envs:GPICL-Digits-v0', num_envs=2); print(env.spec.id, venv.num_envs)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["GPICL-Digits-v0", "2"], done.stderr[-2000:]


def continue_playing(env, action, one_by_one: bool) -> list:
    """Two episodes' worth of steps, resets included, from wherever the environment is."""
    shown = []
    for _ in range(2 * LENGTH):
        step = to_numpy(env.step(action))
        shown += [step[0]["x"], step[0]["y"], step[1]]
        if one_by_one and step[2]:
            shown.append(env.reset()[0]["x"])
    return shown


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))], ids=["copy", "pickle"])
@pytest.mark.parametrize("n_tasks", [None, 4])
@pytest.mark.parametrize("kind", ["single", "vector"])
def test_a_copied_environment_continues_where_it_was(kind: str, n_tasks: int | None, copier):
    """From the middle of an episode into the next ones, without moving the one that it was copied from."""
    single = kind == "single"
    env = make(n_tasks=n_tasks) if single else make_vec(n_tasks=n_tasks)
    action = 1 if single else torch.tensor([1, 2])
    env.reset(seed=0)
    env.step(action)
    twin = copier(env)
    for mine, other in zip(continue_playing(twin, action, single), continue_playing(env, action, single), strict=True):
        assert np.array_equal(mine, other)


GYMNASIUMS_OWN = {
    "FlattenObservation": vector_wrappers.FlattenObservation,
    "FilterObservation": lambda env: vector_wrappers.FilterObservation(env, ["x"]),
    "TransformObservation": lambda env: vector_wrappers.TransformObservation(env, lambda observation: observation),
    "NormalizeObservation": lambda env: vector_wrappers.NormalizeObservation(TorchToNumpy(FlattenObservation(env.env))),
}


@pytest.mark.parametrize("name", GYMNASIUMS_OWN)
def test_gymnasiums_vector_wrappers_take_the_next_step_mode(name: str):
    """Over the end of episodes; some refuse the same step, some the observations of it."""
    env = GYMNASIUMS_OWN[name](TorchToNumpy(make_vec(autoreset_mode="NextStep")))
    env.reset(seed=0)
    ends = [env.step(np.array([0, 1]))[2].all() for _ in range(2 * LENGTH + 1)]
    assert np.flatnonzero(ends).tolist() == [LENGTH - 1, 2 * LENGTH]  # one step is the reset


# -- stable-baselines3 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("feedback", ["label", "reward"])
@pytest.mark.parametrize(("env_id", "action"), IDS_AND_ACTIONS)
def test_sb3s_check_env_passes(env_id: str, action: str, feedback: str):
    checker = pytest.importorskip("stable_baselines3.common.env_checker", reason="needs gpicl-envs[rl]")
    env = make(env_id, action=action, feedback=feedback)
    if action != "label":  # SB3 takes continuous actions between finite bounds only
        env = TransformAction(env, lambda scores: scores, Box(-10.0, 10.0, env.action_space.shape))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        checker.check_env(env)
    assert [str(w.message) for w in caught if "symmetric and normalized" not in str(w.message)] == []


# -- TorchRL -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("action", "feedback"), VARIANTS)
def test_torchrl_makes_it_by_id(action: str, feedback: str):
    envs = pytest.importorskip("torchrl.envs", reason="needs gpicl-envs[rl]")
    env = envs.GymEnv("GPICL-Digits-v0", action=action, feedback=feedback, **SMALL)
    envs.check_env_specs(env)
    rollout = env.rollout(20)
    assert rollout.batch_size == (LENGTH,) and rollout["next", "terminated"][:, 0].tolist() == [False] * 4 + [True]


@pytest.mark.parametrize("flat", [False, True])
def test_torchrl_takes_the_vector_environment(flat: bool):
    """Autoreset disabled: TorchRL resets by mask, and the last observation of an episode is the real one."""
    envs = pytest.importorskip("torchrl.envs", reason="needs gpicl-envs[rl]")
    batch = make_vec(autoreset_mode="Disabled")
    env = envs.GymWrapper(FlattenObservation(batch) if flat else batch)
    envs.check_env_specs(env)
    rollout = env.rollout(2 * LENGTH + 1, break_when_any_done=False)
    assert rollout["next", "done"][0, :, 0].nonzero().ravel().tolist() == [LENGTH - 1, 2 * LENGTH - 1]
    key = "observation" if flat else "y"
    y, last = rollout[key][..., -10:], rollout["next", key][..., -10:]
    assert (last.sum(2) == 1).all()  # feedback after every step, also the last
    assert (y[:, ::LENGTH] == 0).all()  # none before the first


def test_torchrl_withdraws_its_frame_skips():
    """`GymEnv` offers `frameskip` to every environment and withdraws it when Python's own error says so."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'frameskip'"):
        make(frameskip=2)


# -- Ray RLlib ---------------------------------------------------------------------------------------------------------

RLLIB = """
import gymnasium, ray
from ray.rllib.algorithms.ppo import PPOConfig
from ray.tune.registry import register_env

import gpicl_envs

register_env("gpicl", lambda given: gymnasium.wrappers.FlattenObservation(gymnasium.make("GPICL-Digits-v0", **given)))
fixed = {"n_features": 32, "length": 5, "n_tasks": 1, "permute_labels": False}
config = PPOConfig().environment("gpicl", env_config=fixed).debugging(seed=0)
config = config.env_runners(num_env_runners=0, num_envs_per_env_runner=4)
config = config.training(train_batch_size=200, minibatch_size=50, num_epochs=8, lr=3e-3, gamma=0.0)
ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR")
algorithm = config.build_algo()
for _ in range(12):
    result = algorithm.train()["env_runners"]
    print(result["episode_len_mean"], result["episode_return_mean"])
algorithm.stop()
"""


RLLIB_VECTOR = """
import gymnasium, ray
from ray.rllib.algorithms.ppo import PPOConfig
from ray.tune.registry import register_env

import gpicl_envs
from gpicl_envs.wrappers.vector import FlattenObservation, TorchToNumpy


def make(given):
    return TorchToNumpy(FlattenObservation(gymnasium.make_vec("GPICL-Digits-v0", autoreset_mode="NextStep", **given)))


register_env("gpicl", make)
config = PPOConfig().environment("gpicl", env_config={"n_features": 32, "length": 5}).debugging(seed=0)
config = config.env_runners(num_env_runners=0, num_envs_per_env_runner=4, gym_env_vectorize_mode="vector_entry_point")
config = config.training(train_batch_size=200, minibatch_size=50, num_epochs=1)
ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR")
algorithm = config.build_algo()
for _ in range(2):
    result = algorithm.train()["env_runners"]
    print("length", result["episode_len_min"], result["episode_len_max"])
algorithm.stop()
"""


def run_rllib(code: str) -> list[str]:
    """Lines that a program prints which uses RLlib."""
    try:
        import ray.rllib.algorithms.ppo  # noqa: F401
    except ImportError as error:
        pytest.skip(f"needs ray[rllib] ({error})")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


def test_rllibs_ppo_learns_one_fixed_problem():
    """Ten classes and five steps: 0.5 by chance."""
    results = [[float(number) for number in line.split()] for line in run_rllib(RLLIB) if line[:4] == "5.0 "]
    assert len(results) == 12 and results[0][1] < 1.2 and results[-1][1] > 2.0


def test_rllib_takes_the_vector_environment_that_resets_in_the_next_step():
    """With the default mode its episodes would have another length."""
    shown = [line.split()[1:] for line in run_rllib(RLLIB_VECTOR) if line.startswith("length")]
    assert [[float(length) for length in row] for row in shown] == [[5.0, 5.0]] * 2
