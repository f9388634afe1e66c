import numpy as np
import pytest
import torch
from gymnasium.vector import VectorWrapper
from small_tasks import SMALL, make, make_vec

from gpicl_envs.envs.check_returns import VectorEnvCheckError
from gpicl_envs.envs.recorder import MORE_STEPS, Recorder, final_rows, play, play_again


class Listening(VectorWrapper):
    def step(self, actions):
        self.given = actions
        return self.env.step(actions)


def test_a_recorder_keeps_copies_and_gives_tensors_to_an_environment_of_tensors():
    env = Listening(make_vec())
    recorder = Recorder(env)
    first = recorder.reset(seed=0)
    second = recorder.step(np.array([0, 1, 2]))
    assert isinstance(env.given, torch.Tensor) and env.given.tolist() == [0, 1, 2]
    assert not first.is_step and second.is_step and second.call == "step 1"
    assert isinstance(first.observation["x"], np.ndarray) and recorder.shown == [first, second]
    assert np.array_equal(first.observation["x"][1], make().reset(seed=1)[0]["x"])


def test_random_actions_are_played_beyond_the_end():
    shown = play(make_vec(), 0, 1000)
    assert sum(one.is_step for one in shown) == SMALL["length"] + MORE_STEPS - 1
    assert [number for number, one in enumerate(shown) if one.ended.any()] == [SMALL["length"]]
    assert sum(one.is_step for one in play(make_vec(), 0, 4)) == 4


def test_without_autoreset_environments_get_out_of_step():
    shown = play(make_vec(autoreset_mode="Disabled"), 0, 1000)
    masks = [one.mask.tolist() for one in shown if one.mask is not None]
    assert masks[:3] == [[True, False, False], [False, True, True], [True, False, False]]


@pytest.mark.parametrize("mode", ["SameStep", "NextStep", "Disabled"])
def test_the_same_calls_show_the_same(mode: str):
    env = make_vec(autoreset_mode=mode)
    script = play(env, 5, 1000)
    for one, other in zip(script, play_again(env, script), strict=True):
        assert one.call == other.call and np.array_equal(one.observation["x"], other.observation["x"])
        assert np.array_equal(one.reward, other.reward) and np.array_equal(one.ended, other.ended)


def test_numbers_that_change_later_are_told():
    env = make_vec()
    recorder = Recorder(env)
    recorder.reset(seed=0)
    recorder._returned[0]["y"] += 1
    with pytest.raises(VectorEnvCheckError, match=r"step 1 overwrote the observation\['y'\]"):
        recorder.step(np.zeros(3, int))


def test_rows_of_final_observations_in_both_forms():
    env = make_vec(num_envs=2)
    batched = {"x": np.arange(32.0, dtype=np.float32).reshape(2, 16), "y": np.zeros((2, 10), np.float32)}
    assert final_rows(env, batched)[1]["x"][0] == 16
    objects = np.array([None, {"x": 1}], dtype=object)
    assert final_rows(env, objects) == [None, {"x": 1}]
