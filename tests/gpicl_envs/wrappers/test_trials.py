"""`Trials`: episodes of any environment as one problem."""

import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Text
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import NormalizeObservation
from small_tasks import assert_same
from small_trials import IDS, SHORT, Odd, play, trials

from gpicl_envs.wrappers import Trials


@pytest.mark.parametrize("env_id", IDS)
def test_check_env_passes(env_id: str):
    check_env(trials(env_id), skip_render_check=True)


def test_the_steps_of_a_problem_are_those_of_its_episodes():
    """Nothing is lost, added or reordered: each transition of the wrapped environment is seen once."""
    env, alone = Trials(gymnasium.make("CartPole-v1"), episodes=4), gymnasium.make("CartPole-v1")
    env.action_space.seed(0)
    actions = [int(env.action_space.sample()) for _ in range(500)]
    observation, _ = env.reset(seed=3)
    expected, _ = alone.reset(seed=3)
    number, total, returns = 0, 0.0, []
    assert observation["start"] == 1 and not observation["action"].any() and observation["reward"] == 0
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        expected, wanted, *ends, _ = alone.step(action)
        total += float(wanted)
        if any(ends):
            returns, total = [*returns, total], 0.0
            if len(returns) < 4:
                expected, number = alone.reset()[0], number + 1
        assert reward == wanted and observation["reward"] == wanted and observation["action"].argmax() == action
        assert (observation["x"] == expected).all() and info["episode_number"] == number
        assert (observation["start"] == 1) == (any(ends) and len(returns) < 4)
        assert info["episode_returns"].tolist() == returns + [0.0] * (4 - len(returns))
        assert (terminated, truncated) == (len(returns) == 4, False)
        if terminated:
            break
    assert len(returns) == 4


def test_truncated_episodes_count_as_ends():
    env = Trials(gymnasium.make("Pendulum-v1", **SHORT), episodes=2)
    env.reset(seed=0)
    shown = play(env, [np.array([3.0], np.float32)] * 99)
    assert len(shown) == 16 and shown[-1][2:4] == (True, False) and shown[7][0]["start"] == 1
    assert shown[0][0]["action"].tolist() == [3.0]


def test_max_steps_cut_a_problem():
    env = Trials(gymnasium.make("MountainCar-v0", **SHORT), episodes=3, max_steps=11)
    for _ in range(2):
        env.reset(seed=0)
        shown = play(env, [0] * 99)
        assert len(shown) == 11 and shown[-1][2:4] == (False, True) and shown[-1][4]["episode_number"] == 1
        assert shown[-1][4]["episode_returns"].tolist() == [-8, 0, 0]


def test_an_episode_that_ends_with_the_problem_is_not_followed_by_another():
    inner = Odd()
    env = Trials(inner, episodes=5, max_steps=3)
    env.reset(seed=0)
    shown = play(env, [0] * 9)
    assert len(shown) == 3 and shown[-1][2:4] == (False, True) and shown[-1][0]["start"] == 0
    assert inner.episodes == 2 and shown[-1][4]["episode_returns"].tolist() == [1, 2, 0, 0, 0]
    env.reset()
    assert inner.episodes == 3


def test_the_last_episode_terminates_a_problem_even_at_max_steps():
    env = Trials(Odd(), episodes=3, max_steps=6)
    env.reset(seed=0)
    shown = play(env, [0] * 9)
    assert len(shown) == 6 and shown[-1][2:4] == (True, False)


def test_observations_and_actions_of_many_kinds():
    env = Trials(Odd(), episodes=2)
    check_env(env, skip_render_check=True)
    observation, info = env.reset(seed=0)
    assert observation["x"].tolist() == [0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 0, 0] and info["begun"] == 1
    observation, _, _, _, info = env.step(-1)
    assert observation["action"].tolist() == [1, 0, 0] and info["begun"] == 2 and "steps" not in info
    observation, _, _, _, info = env.step(1)
    assert observation["action"].tolist() == [0, 0, 1] and info["steps"] == 1
    assert observation["x"][:5].tolist() == pytest.approx([0.1, 0.1, 0.1, 0.1, 0])


def test_a_task_stays_for_a_problem_and_comes_from_the_seed():
    def new_task(env: gymnasium.Env, generator: np.random.Generator) -> None:
        env.length = generator.uniform(0.3, 0.7)  # type: ignore[attr-defined]

    env = Trials(gymnasium.make("CartPole-v1"), episodes=3, new_task=new_task)
    lengths = []
    for seed in (0, None, 0, 1):
        env.reset(seed=seed)
        lengths.append(env.unwrapped.length)  # type: ignore[attr-defined]
        play(env, [1] * 99)
        assert env.unwrapped.length == lengths[-1]  # type: ignore[attr-defined]
    assert lengths[0] == lengths[2] and len(set(lengths)) == 3


def test_a_task_may_not_change_the_spaces():
    def new_task(env: gymnasium.Env, generator: np.random.Generator) -> None:
        env.action_space = Discrete(5)

    env = Trials(Odd(), episodes=2, new_task=new_task)
    with pytest.raises(ValueError, match="A new task changed the spaces of the environment"):
        env.reset()


def test_normalisation_beneath():
    env = Trials(NormalizeObservation(gymnasium.make("CartPole-v1")), episodes=400, max_steps=4000)
    env.reset(seed=0)
    env.action_space.seed(0)
    x = np.array([one[0]["x"] for one in play(env, [env.action_space.sample() for _ in range(4000)])])
    assert x[2000:].std(0) == pytest.approx(np.ones(4), abs=0.4)


def test_options_of_the_resets_within_a_problem():
    inner = Odd()
    env = Trials(inner, episodes=2, reset_options={"keep": True})
    env.reset(seed=0, options={"keep": False})
    play(env, [0] * 9)
    env.reset()
    assert inner.options == [{"keep": False}, {"keep": True}, None]


def test_steps_outside_a_problem_are_refused():
    env = trials()
    with pytest.raises(ResetNeeded, match="call reset"):
        env.step(0)
    env.reset(seed=0)
    play(env, [1] * 99)
    with pytest.raises(ResetNeeded, match="after the end of the problem"):
        env.step(0)


def test_bad_arguments_and_spaces():
    for arguments in ({"episodes": 0}, {"episodes": 2.5}, {"episodes": 2, "max_steps": 0}):
        with pytest.raises(ValueError, match="is not allowed: give a whole number of at least 1"):
            Trials(Odd(), **arguments)  # type: ignore[arg-type]
    texts, many = Odd(), Odd()
    texts.observation_space, many.action_space = Text(4), MultiDiscrete([2, 2])
    with pytest.raises(TypeError, match="Trials cannot make numbers of observations in Text"):
        Trials(texts, episodes=2)
    with pytest.raises(TypeError, match="Trials needs Discrete actions or a Box of real ones, given MultiDiscrete"):
        Trials(many, episodes=2)
    env = Trials(Odd(), episodes=2)
    env.reset()
    with pytest.raises(ValueError, match="Action 2 is out of range: give a number from -1 to 1"):
        env.step(2)


def test_a_pickled_problem_continues_with_the_same_numbers():
    env = trials()
    env.reset(seed=0)
    env.step(1)
    twin = pickle.loads(pickle.dumps(env))
    for action in (0, 1, 1, 0):
        assert_same(env.step(action), twin.step(action))
    assert_same(env.reset(), twin.reset())


def test_the_spec_round_trips():
    env = trials("Pendulum-v1", reset_options={})
    again = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(again, Trials) and again.spec == env.spec and again.episodes == env.episodes
    assert again.observation_space["action"] == Box(-np.inf, np.inf, (1,), np.float32)  # type: ignore[index]
    assert_same(env.reset(seed=1), again.reset(seed=1))
