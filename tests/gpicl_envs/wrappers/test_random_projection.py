"""`RandomProjection` of one environment."""

import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from small_tasks import assert_same
from small_trials import IDS, A, D, Odd, play, projected, trials

import gpicl_envs  # noqa: F401 (registers the ids)
from gpicl_envs.wrappers import RandomProjection, Trials


@pytest.mark.parametrize("env_id", IDS)
def test_check_env_passes(env_id: str):
    env = projected(env_id)
    check_env(env, skip_render_check=True)
    observation, _ = env.reset(seed=0)
    assert observation["x"].shape == (D,) and observation["action"].shape == (A,)


def test_the_packages_own_problems_are_taken():
    check_env(RandomProjection(gymnasium.make("GPICL-Bandit-v0", length=5), 3, 8), skip_render_check=True)


def test_a_problem_has_one_projection_and_the_next_another():
    """Seen from outside: the maps from x to the projected x are fitted, and predict later episodes of the problem."""
    env, plain = projected("Acrobot-v1", n_actions=3), trials("Acrobot-v1")
    maps = []
    for seed in (0, None, 0):
        label_to_action = None
        xs, seen, starts = [], [], 0.0
        observation, _ = env.reset(seed=seed)
        label_to_action = env.projections.actions[0].copy()
        expected, _ = plain.reset(seed=seed)
        for step in range(99):
            xs.append(expected["x"])
            seen.append(observation["x"])
            starts += float(observation["start"][0])
            label = step % 3
            observation, reward, *ends, _ = env.step(label)
            expected, wanted, *others, _ = plain.step(int(label_to_action[label]))
            assert reward == wanted and ends == others and observation["action"].argmax() == label
            assert observation["reward"] == expected["reward"] and observation["start"] == expected["start"]
            if any(ends):
                break
        assert starts == 3
        fitted, *_ = np.linalg.lstsq(np.array(xs[:8]), np.array(seen[:8]), rcond=None)
        np.testing.assert_allclose(np.array(xs) @ fitted, np.array(seen), atol=1e-2)
        maps.append(env.projections.inputs[0].copy())
    assert (maps[0] == maps[2]).all() and not np.isclose(maps[0], maps[1]).any()


def test_the_first_step_shows_no_action():
    env = projected()
    for _ in range(2):
        observation, info = env.reset(seed=0)
        assert not observation["action"].any() and info["projection_id"] == -1
        play(env, [3] * 99)


def test_labels_that_stand_for_the_same_action_do_the_same():
    env = projected("CartPole-v1", n_actions=6)
    for label in range(6):
        env.reset(seed=5)
        twins = np.flatnonzero(env.projections.actions[0] == env.projections.actions[0][label])
        x = env.step(label)[0]["x"]
        env.reset(seed=5)
        assert (env.step(int(twins[-1]))[0]["x"] == x).all()


def test_continuous_actions_are_rotated_and_shown_as_given():
    env = projected("Pendulum-v1")
    env.reset(seed=0)
    given = np.array([0.1, -0.2, 3.0, 0.0], np.float32)
    observation, *_ = env.step(given)
    clipped = np.clip(given, -1, 1)
    torque = np.clip(2 * env.projections.actions[0] @ clipped, -2, 2)
    assert env.unwrapped.last_u == pytest.approx(torque.item())  # type: ignore[attr-defined]
    assert observation["action"] == pytest.approx(clipped)


def test_order_of_the_wrappers():
    with pytest.raises(TypeError, match="put Trials .* around the environment first"):
        RandomProjection(Odd(), 4)  # type: ignore[arg-type]
    check_env(RandomProjection(Trials(Odd(), 2), 4), skip_render_check=True)


def test_a_seed_out_of_range_is_refused():
    with pytest.raises(ValueError, match="seed="):
        RandomProjection(gymnasium.make("GPICL-Bandit-v0"), 3).reset(seed=2**64)


def test_a_pickled_problem_continues_with_the_same_numbers():
    env = projected()
    env.reset(seed=0)
    env.step(1)
    twin = pickle.loads(pickle.dumps(env))
    for action in (0, 3, 1, 2):
        assert_same(env.step(action), twin.step(action))
    assert_same(env.reset(), twin.reset())


def test_the_spec_round_trips():
    env = projected("CartPole-v1", n_projections=9, projection_seed=4, std=[1.0, 2.0, 1.0, 2.0])
    again = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(again, RandomProjection) and again.spec == env.spec
    assert_same(env.reset(seed=1), again.reset(seed=1))
    assert_same(env.step(2), again.step(2))
