"""`VectorTrials`: the problems of a batch, beside those of the single form."""

import pickle

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Graph, MultiDiscrete, Text
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorWrapper
from gymnasium.wrappers.vector import RecordEpisodeStatistics, TransformObservation
from small_tasks import assert_same
from small_trials import IDS, MAX_STEPS, SHORT, K, odd, sync, trials

from gpicl_envs import check_vector_env
from gpicl_envs.wrappers import MaskedCartPole, Trials, VectorTrials

MODES = list(AutoresetMode)


def fast(num_envs: int = 4, **arguments):
    return gymnasium.make_vec("CartPole-v1", num_envs=num_envs, vectorization_mode="vector_entry_point", **arguments)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("env_id", IDS)
def test_rows_are_the_single_form(env_id: str, mode: AutoresetMode):
    """Both ends of a problem are met: the last episode, and `max_steps` in the middle of one."""
    check_vector_env(VectorTrials(sync(env_id, 3, mode), K, max_steps=MAX_STEPS), lambda: trials(env_id))
    check_vector_env(VectorTrials(sync(env_id, 3, mode), 2), lambda: trials(env_id, episodes=2, max_steps=None))


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_rows_of_odd_spaces_with_infos_are_the_single_form(mode: AutoresetMode):
    for max_steps in (None, 3, 5, 6):  # 6 = 1 + 2 + 3, where the last episode ends
        env = VectorTrials(SyncVectorEnv([odd] * 3, autoreset_mode=mode), 3, max_steps=max_steps)
        check_vector_env(env, lambda n=max_steps: Trials(odd(), 3, max_steps=n))  # type: ignore[misc]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_rows_of_asynchronous_environments_are_the_single_form(mode: AutoresetMode):
    inner = AsyncVectorEnv([lambda: gymnasium.make("CartPole-v1", **SHORT)] * 2, autoreset_mode=mode)
    try:
        check_vector_env(VectorTrials(inner, K, max_steps=MAX_STEPS), trials)
    finally:
        inner.close()


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        (AutoresetMode.SAME_STEP, AutoresetMode.SAME_STEP),
        (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP),
        (AutoresetMode.DISABLED, AutoresetMode.DISABLED),
    ],
)
def test_the_mode_follows_from_that_of_the_environment(inner: AutoresetMode, outer: AutoresetMode):
    env = VectorTrials(sync("CartPole-v1", 2, inner), 2)
    assert env.metadata["autoreset_mode"] is env.autoreset_mode is outer
    assert env.env.metadata["autoreset_mode"] is inner


def test_the_fast_cartpole_passes_the_check_and_counts_every_reward():
    check_vector_env(VectorTrials(fast(), 3))
    env = VectorTrials(fast(64), 3)
    env.reset(seed=0)
    env.action_space.seed(0)
    total, finished, in_problem = 0.0, np.zeros(64), 0.0
    for _ in range(120):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        total += reward.sum()
        assert (reward == 1).all(), "no step is lost on a reset"
        assert not truncated.any() and {key: value.dtype for key, value in observation.items()} == dict.fromkeys(
            ("x", "action", "reward", "start"), np.dtype(np.float32)
        )
        if terminated.any():
            assert (np.abs(observation["x"][terminated]) <= 0.05).all() and (
                observation["start"][terminated] == 1
            ).all()
            assert not observation["action"][terminated].any() and not observation["reward"][terminated].any()
            final = info["final_obs"]["x"][terminated]
            assert ((np.abs(final[:, 0]) > 2.4) | (np.abs(final[:, 2]) > 0.209)).all()
            finished[terminated] += info["final_info"]["episode_returns"][terminated].sum(1)
    in_problem = (env._steps).sum()
    assert finished.all() and total == finished.sum() + in_problem


def test_wrappers_between_the_environment_and_the_mask():
    env = VectorTrials(TransformObservation(MaskedCartPole(fast()), lambda x: x * np.float32(2.0)), 2)
    twin = VectorTrials(fast(), 2)
    pairs = [(env.reset(seed=0), twin.reset(seed=0))]
    for step in range(60):
        actions = np.array([0, 1, 0, 1]) ^ (step % 3 == 0)
        pairs.append((env.step(actions), twin.step(actions)))
    for mine, theirs in pairs:
        np.testing.assert_array_equal(mine[0]["x"], theirs[0]["x"] * 2)
        assert_same([mine[0]["start"], *mine[1:-1]], [theirs[0]["start"], *theirs[1:-1]])


def test_statistics_above():
    env = RecordEpisodeStatistics(VectorTrials(sync("MountainCar-v0", 2, AutoresetMode.DISABLED), 2))
    env.reset(seed=0)
    infos = [env.step(np.zeros(2, np.int64))[4] for _ in range(16)]
    assert infos[-1]["episode"]["r"].tolist() == [-16, -16]


def test_an_environment_that_ignores_the_mask_is_refused():
    class Careless(VectorWrapper):
        """A wrapper that gymnasium does not forbid."""

    env = VectorTrials(Careless(fast()), 3)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="changes other observations too .*MaskedCartPole"):
        for _ in range(60):
            env.step(np.zeros(4, np.int64) + np.array([0, 1, 0, 1]))


def test_tensors_are_taken_as_actions():
    env, twin = VectorTrials(fast(), 3), VectorTrials(fast(), 3)
    assert_same(env.reset(seed=0), twin.reset(seed=0))
    assert_same(env.step(torch.tensor([0, 1, 1, 0])), twin.step(np.array([0, 1, 1, 0], np.int32)))


def test_with_autoreset_disabled_a_new_problem_must_be_begun():
    env = VectorTrials(sync("MountainCar-v0", 2, AutoresetMode.DISABLED), 1)
    with pytest.raises(ResetNeeded, match="before the first reset"):
        env.step(np.zeros(2, np.int64))
    env.reset(seed=0)
    for _ in range(8):
        env.step(np.zeros(2, np.int64))
    with pytest.raises(ResetNeeded, match=r"in environments \[0, 1\]"):
        env.step(np.zeros(2, np.int64))
    env.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(ResetNeeded, match=r"in environments \[1\]"):
        env.step(np.zeros(2, np.int64))


def test_bad_arguments_and_spaces():
    for arguments in ({"episodes": 0}, {"episodes": 2, "max_steps": 0}):
        with pytest.raises(ValueError, match="is not allowed: give a whole number of at least 1"):
            VectorTrials(fast(), **arguments)
    env = VectorTrials(fast(), 2)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="Action 2 is out of range"):
        env.step(np.full(4, 2))
    with pytest.raises(ValueError, match=r"shape \(4,\), given \(3,\)"):
        env.step(np.zeros(3, np.int64))
    inner = fast()
    inner.metadata = {}
    with pytest.raises(ValueError, match=r"metadata\['autoreset_mode'\] is None"):
        VectorTrials(inner, 2)
    for space in (Text(3), Graph(Text(2), None)):
        inner = fast()
        inner.single_observation_space = space
        with pytest.raises(TypeError, match="VectorTrials cannot make numbers of observations"):
            VectorTrials(inner, 2)
    inner = fast()
    inner.single_action_space = MultiDiscrete([2, 2])
    with pytest.raises(TypeError, match="VectorTrials needs Discrete actions or a Box"):
        VectorTrials(inner, 2)


def test_a_pickled_batch_continues_with_the_same_numbers():
    env = VectorTrials(fast(), 2)
    env.reset(seed=0)
    env.step(np.array([0, 1, 0, 1]))
    twin = pickle.loads(pickle.dumps(env))
    for _ in range(40):
        assert_same(env.step(np.array([0, 1, 0, 1])), twin.step(np.array([0, 1, 0, 1])))
