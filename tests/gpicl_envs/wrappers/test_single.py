"""`PreviousActionAndReward` for a single environment."""

import pickle

import gymnasium
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from small_tasks import assert_same, make

import gpicl_envs  # noqa: F401 (registers the ids)
from gpicl_envs.wrappers import PreviousActionAndReward


@pytest.mark.parametrize("action", ["label", "logits"])
def test_check_env_passes_with_previous_action_and_reward(action: str):
    check_env(PreviousActionAndReward(make(action=action)), skip_render_check=True)


def test_a_pickled_single_environment_continues_with_the_same_numbers():
    env = PreviousActionAndReward(make())
    env.reset(seed=0)
    env.step(1)
    twin = pickle.loads(pickle.dumps(env))
    for action in range(3):
        assert_same(env.step(action), twin.step(action))
    assert_same(env.reset(), twin.reset())


def test_the_spec_of_a_wrapped_environment_round_trips():
    env = PreviousActionAndReward(make(n_tasks=4))
    again = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(again, PreviousActionAndReward) and again.spec == env.spec
    assert_same(env.reset(seed=1), again.reset(seed=1))
    assert_same(env.step(2), again.step(2))
    assert pickle.loads(pickle.dumps(env.spec)) == env.spec
