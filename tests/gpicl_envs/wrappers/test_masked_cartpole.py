"""`MaskedCartPole`: resets of some of gymnasium's fast CartPoles."""

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers.vector import TransformReward

from gpicl_envs import check_vector_env
from gpicl_envs.wrappers import MaskedCartPole

MASK = np.array([False, True, True, False])


def fast(num_envs: int = 4, **arguments):
    return gymnasium.make_vec("CartPole-v1", num_envs=num_envs, vectorization_mode="vector_entry_point", **arguments)


def test_a_masked_reset_leaves_the_others_where_they_are():
    env, untouched = MaskedCartPole(fast()), fast()
    before, _ = env.reset(seed=0)
    assert (before == untouched.reset(seed=0)[0]).all()
    actions = np.array([0, 1, 0, 1])
    for _ in range(3):
        env.step(actions)
        last = untouched.step(actions)[0]
    observation, info = env.reset(options={"reset_mask": MASK})
    assert (observation[~MASK] == last[~MASK]).all() and (np.abs(observation[MASK]) <= 0.05).all() and info == {}
    assert (env.step(actions)[0][~MASK] == untouched.step(actions)[0][~MASK]).all()


def test_an_ended_row_that_was_reset_begins_at_once():
    """Gymnasium's own step after an end only resets the row, at a reward of 0."""
    env = MaskedCartPole(fast(max_episode_steps=2))
    env.reset(seed=0)
    actions = np.zeros(4, np.int64)
    env.step(actions)
    assert env.step(actions)[3].all()
    env.reset(options={"reset_mask": MASK})
    _, reward, _, truncated, _ = env.step(actions)
    assert reward.tolist() == [0, 1, 1, 0] and not truncated.any()
    assert env.step(actions)[3].tolist() == MASK.tolist()


def test_it_passes_the_check():
    check_vector_env(MaskedCartPole(fast()))


def test_what_it_cannot_do_is_refused():
    with pytest.raises(TypeError, match="for gymnasium's CartPoleVectorEnv itself"):
        MaskedCartPole(TransformReward(fast(), np.negative))
    env = MaskedCartPole(fast())
    env.reset(seed=1)
    with pytest.raises(ValueError, match="share one random stream"):
        env.reset(seed=1, options={"reset_mask": MASK})
