"""In-context RL problems in a batch: what is seen, and gymnasium's conventions, for every registered problem."""

import gymnasium
import pytest
import torch

import gpicl_envs
from gpicl_envs.registration import rl_environments

IDS = tuple(rl_environments())


@pytest.mark.parametrize("mode", ["SameStep", "NextStep", "Disabled"])
@pytest.mark.parametrize("env_id", IDS)
def test_gymnasiums_conventions_hold(env_id: str, mode: str):
    venv = gymnasium.make_vec(env_id, num_envs=3, autoreset_mode=mode)
    gpicl_envs.check_vector_env(venv, lambda: gymnasium.make(env_id))


@pytest.mark.parametrize("env_id", IDS)
def test_an_observation_tells_what_was_done_and_where_episodes_begin(env_id: str):
    venv = gymnasium.make_vec(env_id, num_envs=4, autoreset_mode="Disabled")
    env = venv.unwrapped
    made, seen = env.distribution, venv.reset(seed=0)[0]
    assert (seen["action"] == 0).all() and (seen["reward"] == 0).all() and (seen["start"] == 1).all()
    first = seen["x"]
    venv.action_space.seed(0)
    for n in range(1, made.length + 1):
        action = torch.as_tensor(venv.action_space.sample())
        seen, reward, ended, _, _ = venv.step(action)
        assert torch.equal(seen["action"].argmax(1), action) and (seen["action"].sum(1) == 1).all()
        assert torch.equal(seen["reward"][:, 0], reward) and bool(ended.all()) is (n == made.length)
        begins = n % made.episode_length == 0 and n < made.length
        assert (seen["start"] == float(begins)).all()
        if begins:
            assert torch.equal(seen["x"], first)


@pytest.mark.parametrize("env_id", IDS)
def test_the_hidden_task_is_exposed_and_its_best_return_is_not_beaten(env_id: str):
    venv = gymnasium.make_vec(env_id, num_envs=200, autoreset_mode="Disabled")
    env = venv.unwrapped
    venv.reset(seed=0)
    assert env.task.parameters.keys() == env.problems.hidden.keys()
    venv.action_space.seed(0)
    rewards = torch.stack([venv.step(venv.action_space.sample())[1] for _ in range(env.length)], 1)
    mean = rewards.sum(1).mean() / env.distribution.n_episodes
    assert mean < env.distribution.best_return(env.problems).mean()


@pytest.mark.parametrize("env_id", IDS)
def test_pictures(env_id: str):
    for mode, kind in (("ansi", str), ("rgb_array", torch.empty(0).numpy().__class__)):
        venv = gymnasium.make_vec(env_id, num_envs=2, render_mode=mode)
        venv.reset(seed=0)
        pictures = venv.render()
        assert len(pictures) == 2 and all(isinstance(picture, kind) for picture in pictures)


def test_bad_input_is_refused_and_nothing_is_lost():
    venv = gymnasium.make_vec("GPICL-Bandit-v0", num_envs=2)
    venv.reset(seed=0)
    for action, message in (([0, 5], "Action 5 is out of range"), ([0.5, 1.0], "integer"), ([1], "shape")):
        with pytest.raises(ValueError, match=message):
            venv.step(action)
    assert venv.unwrapped._position.tolist() == [0, 0]
    with pytest.raises(ValueError, match="Did you mean 'Bandit'"):
        gymnasium.make_vec("GPICL-Bandit-v0", problem="Bandits")
    with pytest.raises(TypeError, match="n_arm"):
        gymnasium.make_vec("GPICL-Bandit-v0", n_arm=3)


@pytest.mark.parametrize("env_id", IDS)
def test_given_problems_are_played_as_those_of_the_stream(env_id: str):
    """Problem 0 of the streams 5, 6 and 7, given by hand, after something else was played."""
    one, other = (gymnasium.make_vec(env_id, num_envs=3, autoreset_mode="Disabled") for _ in range(2))
    first = one.reset(seed=5)[0]
    other.reset(seed=1)
    other.step(other.action_space.sample())
    seen = other.unwrapped.begin(one.unwrapped.problems)
    assert all(torch.equal(seen[name], value) for name, value in first.items())
    for _ in range(one.unwrapped.length):
        action = one.action_space.sample()
        (seen, reward, *_), (again, same, *_) = one.step(action), other.step(action)
        assert torch.equal(reward, same) and all(torch.equal(again[name], value) for name, value in seen.items())
    with pytest.raises(ValueError, match="2 problems for 3 environments"):
        other.unwrapped.begin(one.unwrapped.distribution.sample(2))
