"""`VectorRandomProjection`: the rows of a batch, beside the single form."""

import pickle
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from small_tasks import assert_same
from small_trials import IDS, MAX_STEPS, A, D, K, projected, sync, trials

from gpicl_envs import check_vector_env
from gpicl_envs.wrappers import RandomProjection, VectorRandomProjection, VectorTrials
from gpicl_envs.wrappers.vector import TorchToNumpy

MODES = list(AutoresetMode)


def fast(num_envs: int = 4, episodes: int = 2, **arguments: Any) -> VectorRandomProjection:
    inner = gymnasium.make_vec("CartPole-v1", num_envs=num_envs, vectorization_mode="vector_entry_point")
    return VectorRandomProjection(VectorTrials(inner, episodes), **({"n_features": D, "n_actions": A} | arguments))


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("env_id", IDS)
def test_rows_are_the_single_form(env_id: str, mode: AutoresetMode):
    env = VectorTrials(sync(env_id, 3, mode), K, max_steps=MAX_STEPS)
    check_vector_env(VectorRandomProjection(env, D, A), lambda: projected(env_id))


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_rows_around_a_vector_of_single_problems_are_the_single_form(mode: AutoresetMode):
    env = VectorRandomProjection(SyncVectorEnv([trials] * 3, autoreset_mode=mode), D, A, n_projections=3)
    check_vector_env(env, lambda: projected(n_projections=3))


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_rows_of_the_packages_own_problems_are_the_single_form(mode: AutoresetMode):
    inner = gymnasium.make_vec("GPICL-Bandit-v0", num_envs=3, length=6, autoreset_mode=mode)
    check_vector_env(
        VectorRandomProjection(TorchToNumpy(inner), 3, 8),
        lambda: RandomProjection(gymnasium.make("GPICL-Bandit-v0", length=6), 3, 8),
    )


def test_the_fast_cartpole_passes_the_check():
    check_vector_env(fast())


def test_a_row_keeps_its_projection_until_its_problem_ends():
    env = fast(32, 3)
    env.reset(seed=0)
    env.action_space.seed(0)
    ends, starts = 0, 0
    for _ in range(120):
        before = env.projections.inputs.copy(), env.projections.actions.copy()
        observation, _, terminated, _, info = env.step(env.action_space.sample())
        for old, new in zip(before, (env.projections.inputs, env.projections.actions), strict=True):
            assert (old[~terminated] == new[~terminated]).all()
        same = np.isclose(before[0], env.projections.inputs).reshape(32, -1).any(1)
        assert not same[terminated].any()
        ends += terminated.sum()
        starts += int((observation["start"][:, 0] == 1)[~terminated].sum())
        assert observation["x"].dtype == np.float32 and info["_projection_id"].all()
    assert ends > 32 and starts > 2 * ends - 64, "episodes began within problems"


def test_bad_arguments():
    with pytest.raises(ValueError, match="n_actions=1 is not allowed"):
        fast(n_actions=1)
    with pytest.raises(TypeError, match=r"put Trials \(VectorTrials\) around the environment first"):
        VectorRandomProjection(sync("CartPole-v1", 2, AutoresetMode.SAME_STEP), 4)
    env = fast()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="Action 4 is out of range: give a number from 0 to 3"):
        env.step(np.full(4, 4))


def test_a_pickled_batch_continues_with_the_same_numbers():
    env = fast()
    env.reset(seed=0)
    env.step(np.array([0, 1, 2, 3]))
    twin = pickle.loads(pickle.dumps(env))
    for _ in range(40):
        assert_same(env.step(np.array([3, 1, 0, 2])), twin.step(np.array([3, 1, 0, 2])))
