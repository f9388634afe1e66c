"""One problem at a time."""

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

from gpicl_envs.registration import rl_environments


@pytest.mark.parametrize("env_id", rl_environments())
@pytest.mark.filterwarnings("ignore:.*Box observation space.*")
def test_check_env_passes(env_id: str):
    check_env(gymnasium.make(env_id).unwrapped)


@pytest.mark.parametrize("env_id", rl_environments())
def test_a_problem_is_played_to_its_end(env_id: str):
    env = gymnasium.make(env_id, render_mode="ansi")
    seen, info = env.reset(seed=1)
    assert env.observation_space.contains(seen) and info == {"task_id": -1}
    steps, ended = 0, False
    while not ended:
        seen, reward, ended, truncated, info = env.step(steps % 2)
        assert env.observation_space.contains(seen) and isinstance(reward, float) and not truncated
        steps += 1
    assert steps == env.unwrapped.spec.max_episode_steps and isinstance(env.render(), str)
    assert env.unwrapped.task.parameters


def test_no_step_is_taken_before_a_problem_or_after_it():
    env = gymnasium.make("GPICL-Bandit-v0", length=1, render_mode="ansi").unwrapped
    with pytest.raises(ResetNeeded):
        env.render()
    for _ in range(2):
        with pytest.raises(ResetNeeded, match="step\\(\\) before the first reset|step\\(\\) after the end"):
            env.step(0)
        env.reset(seed=0)
        for action in (5, 0.5, [0, 1]):
            with pytest.raises(ValueError, match="ction"):
                env.step(action)
        assert env.step(np.array([1]))[2]


@pytest.mark.parametrize("env_id", rl_environments())
def test_what_is_shown_may_be_kept_and_written_to(env_id: str):
    one, other = (gymnasium.make(env_id).unwrapped for _ in range(2))
    for env in (one, other):
        env.reset(seed=3)
    kept = []
    for n in range(20):
        seen, again = one.step(n % 2)[0], other.step(n % 2)[0]
        kept.append(({name: value.copy() for name, value in again.items()}, again))
        for value in seen.values():
            value[:] = 9
    for expected, shown in kept:
        assert all(np.array_equal(expected[name], shown[name]) for name in expected)
    seen, again = one.step(0)[0], other.step(0)[0]
    assert all(np.array_equal(seen[name], again[name]) for name in seen)
