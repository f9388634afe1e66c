import json
from dataclasses import asdict

import numpy as np
import pytest

from gpicl_agents.training.config import RewardConfig, TrainConfig


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"steps": 0}, "steps=0"), ({"learning_rate": -1.0}, "learning_rate=-1.0"), ({"seed": -1}, "seed=-1")],
    ids=str,
)
def test_bad_settings_are_refused(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**arguments)


@pytest.mark.parametrize("kind", [TrainConfig, RewardConfig])
@pytest.mark.parametrize("given", ["wandb", (print,), None], ids=repr)
def test_trackers_are_names(kind: type, given: object):
    assert kind(trackers=("wandb", "mine")).trackers == ("wandb", "mine") and kind().trackers == ()
    with pytest.raises(ValueError, match="trackers=.* is not allowed: give names, as trackers="):
        kind(trackers=given)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"learning_rate": "x"}, "learning_rate='x'"),
        ({"clip_norm": None}, "clip_norm=None"),
        ({"learning_rate": float("inf")}, "learning_rate=inf"),
        ({"betas": (0.9, 1.0)}, "betas="),
        ({"betas": 0.9}, "betas=0.9"),
        ({"eps": -1}, "eps=-1"),
        ({"until_gain": "no"}, "until_gain='no' is not allowed: give True or False"),
        ({"evaluate_datasets": "Digits"}, r"evaluate_datasets='Digits' is not allowed: .*\('FashionMNIST',\)"),
    ],
    ids=str,
)
def test_settings_of_the_wrong_kind_are_refused(setting: dict, message: str):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**setting)


def test_schedules():
    def rates(schedule: str) -> list[float]:
        config = TrainConfig(steps=100, learning_rate=1.0, warmup_steps=10, schedule=schedule)
        return [config.learning_rate_at(step, 0.0) for step in (0, 9, 50, 99)]

    assert rates("constant") == [0.1, 1.0, 1.0, 1.0]
    assert rates("linear") == pytest.approx([0.1, 0.91, 0.5, 0.01])
    assert rates("cosine") == pytest.approx([0.1, 0.98015, 0.5, 0.000247], abs=1e-5)


@pytest.mark.parametrize("arguments", [{"steps": 0}, {"discount": 1.5}, {"learning_rate": -1.0}, {"clip": 0}], ids=str)
def test_bad_settings_of_rewards_are_refused(arguments: dict):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        RewardConfig(**arguments)


@pytest.mark.parametrize("kind", [TrainConfig, RewardConfig])
def test_numbers_of_numpy_are_kept_as_python_s_which_checkpoints_hold(kind: type):
    integers = {name: np.int64(value + 1) for name, value in vars(kind()).items() if type(value) is int}
    assert len(integers) >= 4 and json.loads(json.dumps(asdict(kind(**integers)))) is not None
    floats = {name: np.float32(value) for name, value in vars(kind()).items() if type(value) is float}
    made = kind(**floats, max_seconds=np.float64(9), target=np.float32(0.5))
    assert len(floats) >= 4 and {type(getattr(made, name)) for name in (*floats, "max_seconds", "target")} == {float}


def test_betas_of_numpy_are_kept_as_python_s():
    assert [type(beta) for beta in TrainConfig(betas=tuple(np.array([0.9, 0.95]))).betas] == [float, float]


@pytest.mark.parametrize("target", [float("nan"), float("-inf"), True, "5"], ids=repr)
def test_a_target_of_returns_is_a_finite_number(target: object):
    assert RewardConfig(target=-3).target == -3.0
    with pytest.raises(ValueError, match="target=.* is not allowed: give a finite number"):
        RewardConfig(target=target)
