"""What all vector environments share, seen on both kinds: seeds, autoreset modes, masks."""

import gymnasium
import pytest
import torch
from gymnasium.error import ResetNeeded

IDS = ("GPICL-Digits-v0", "GPICL-Bandit-v0")


@pytest.mark.parametrize("env_id", IDS)
def test_only_some_environments_can_begin_anew(env_id: str):
    venv = gymnasium.make_vec(env_id, num_envs=3, length=4, autoreset_mode="Disabled", n_tasks=1000)
    with pytest.raises(ResetNeeded, match="before the first reset"):
        venv.reset(options={"reset_mask": torch.tensor([True, False, False])})
    before = venv.reset(seed=1)[1]["task_id"]
    for _ in range(4):
        venv.step([0, 1, 2])
    with pytest.raises(ResetNeeded, match=r"environments \[0, 1, 2\]"):
        venv.step([0, 1, 2])
    mask = torch.tensor([False, True, False])
    _, info = venv.reset(options={"reset_mask": mask})
    assert torch.equal(info["_task_id"], mask) and torch.equal(info["task_id"][~mask], before[~mask])
    assert info["task_id"][1] != before[1]


@pytest.mark.parametrize("env_id", IDS)
def test_a_seed_names_the_same_stream_in_any_batch(env_id: str):
    many, one = (gymnasium.make_vec(env_id, num_envs=n, n_tasks=1 << 20, length=3) for n in (4, 1))
    many.reset(seed=5), one.reset(seed=7)
    for _ in range(7):
        at_once, alone = many.step([0, 1, 1, 0]), one.step([1])
        assert at_once[4]["task_id"][2] == alone[4]["task_id"][0] and at_once[1][2] == alone[1][0]


@pytest.mark.parametrize("env_id", IDS)
def test_bad_arguments_are_refused(env_id: str):
    for arguments, message in (
        ({"num_envs": 0}, "num_envs=0"),
        ({"autoreset_mode": "Sometimes"}, "Unknown autoreset_mode 'Sometimes'"),
        ({"render_mode": "human"}, "shows one episode"),
    ):
        with pytest.raises(ValueError, match=message):
            gymnasium.make_vec(env_id, **arguments)
