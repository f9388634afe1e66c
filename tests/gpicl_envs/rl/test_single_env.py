"""One problem at a time."""

import gymnasium
import pytest
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
