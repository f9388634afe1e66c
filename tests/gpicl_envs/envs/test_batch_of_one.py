"""What all single environments share, seen on both kinds."""

import gymnasium
import numpy as np
import pytest

from gpicl_envs.envs.batch_of_one import first_row

IDS = ("GPICL-Digits-v0", "GPICL-Bandit-v0")


@pytest.mark.parametrize("env_id", IDS)
def test_the_spec_knows_the_length_but_nothing_truncates(env_id: str):
    env = gymnasium.make(env_id, length=5)
    env.reset(seed=0)
    ends = [env.step(1)[2:4] for _ in range(5)]
    assert ends[-1] == (True, False) and not any(any(end) for end in ends[:-1])
    assert env.unwrapped.spec is not None and env.unwrapped.spec.max_episode_steps == 5


@pytest.mark.parametrize("env_id", IDS)
def test_without_a_seed_the_stream_continues(env_id: str):
    ids = []
    for resets in ((3, None), (3, None), (None, None)):
        env = gymnasium.make(env_id, n_tasks=1 << 30)
        ids.append([env.reset(seed=seed)[1]["task_id"] for seed in resets])
    assert ids[0] == ids[1] and ids[0][0] != ids[0][1] and ids[2] != ids[0]


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("name", ["num_envs", "autoreset_mode"])
def test_arguments_of_batches_are_refused(env_id: str, name: str):
    with pytest.raises(TypeError, match=f"{name}.*make_vec"):
        gymnasium.make(env_id, **{name: 1})


def test_the_first_row_keeps_none_and_names():
    import torch

    found = first_row({"a": torch.arange(6).view(2, 3), "b": None})
    assert np.array_equal(found["a"], [0, 1, 2]) and found["b"] is None
