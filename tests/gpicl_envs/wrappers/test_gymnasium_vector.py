"""Gymnasium's own vector wrappers around our vector environments: the table of docs/gymnasium.md, tried again."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import gymnasium.wrappers.vector as vector
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.wrappers import TransformAction, TransformObservation, TransformReward
from small_tasks import make_vec

import gpicl_envs
from gpicl_envs.envs.recorder import play
from gpicl_envs.wrappers.vector import FlattenObservation, TorchToNumpy

pytestmark = pytest.mark.skipif(not gymnasium.__version__.startswith("1.4."), reason="the table is of gymnasium 1.4")
PAGE = Path(__file__).parents[3] / "docs" / "gymnasium.md"
Wrap = Callable[[Any], VectorEnv]


def same(value: Any) -> Any:
    return value


FLAT: dict[str, Wrap] = {
    "DtypeObservation": lambda env: vector.DtypeObservation(env, np.float64),
    "NormalizeObservation": lambda env: vector.NormalizeObservation(env),
    "RescaleObservation": lambda env: vector.RescaleObservation(env, -1.0, 1.0),
    "ReshapeObservation": lambda env: vector.ReshapeObservation(env, (13, 2)),
}
LOGITS: dict[str, Wrap] = {
    "ClipAction": lambda env: vector.ClipAction(env),
    "RescaleAction": lambda env: vector.RescaleAction(env, -1.0, 1.0),
}
PICTURES: dict[str, Wrap] = {
    "HumanRendering": lambda env: vector.HumanRendering(env),
    "RecordVideo": lambda env: vector.RecordVideo(env, "videos", episode_trigger=lambda n: n == 0, video_length=3),
}
OTHERS: dict[str, Wrap] = {
    "ArrayConversion": lambda env: vector.ArrayConversion(env, env_xp=torch, target_xp=np),
    "ClipReward": lambda env: vector.ClipReward(env, -1.0, 1.0),
    "DictInfoToList": lambda env: vector.DictInfoToList(env),
    "FilterObservation": lambda env: vector.FilterObservation(env, ["x"]),
    "FlattenObservation": lambda env: vector.FlattenObservation(env),
    "NormalizeReward": lambda env: vector.NormalizeReward(env),
    "NumpyToTorch": lambda env: vector.NumpyToTorch(env),
    "RecordEpisodeStatistics": lambda env: vector.RecordEpisodeStatistics(env),
    "TransformAction": lambda env: vector.TransformAction(env, same),
    "TransformObservation": lambda env: vector.TransformObservation(env, same),
    "TransformReward": lambda env: vector.TransformReward(env, lambda reward: 2 * reward),
    "VectorizeTransformAction": lambda env: vector.VectorizeTransformAction(
        env, TransformAction, func=same, action_space=env.single_action_space
    ),
    "VectorizeTransformObservation": lambda env: vector.VectorizeTransformObservation(
        env, TransformObservation, func=same, observation_space=env.single_observation_space
    ),
    "VectorizeTransformReward": lambda env: vector.VectorizeTransformReward(env, TransformReward, func=same),
}
WRAPPERS = FLAT | LOGITS | PICTURES | OTHERS
NEEDED = {
    "ArrayConversion": "array_api_compat",
    "NumpyToTorch": "array_api_compat",
    "HumanRendering": "cv2",
    "RecordVideo": "moviepy",
}


def outcome(name: str, mode: AutoresetMode, in_numpy: bool) -> str:
    """Return "passes", "works" or "no"."""
    arguments = {"action": "logits"} if name in LOGITS else {"render_mode": "rgb_array"} if name in PICTURES else {}
    try:
        env = make_vec(num_envs=2, autoreset_mode=mode, **arguments)
        env = FlattenObservation(env) if name in FLAT else env
        env = WRAPPERS[name](TorchToNumpy(env) if in_numpy else env)
        if name == "DictInfoToList":
            env.reset(seed=0)
            _, infos = env.step(np.zeros(2, int))[-2:]
            return "works" if [set(info) for info in infos] == [{"task_id", "label"}] * 2 else "no"
        if name.startswith("Normalize"):
            return "works" if play(env, 0, 100) else "no"
        gpicl_envs.check_vector_env(env)
    except (AssertionError, NotImplementedError, TypeError, ValueError):
        return "no"
    return "passes"


def table() -> dict[str, list[str]]:
    rows = re.findall(r"^\| `(\w+)`[^|]*\| (.+) \| (.+) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: cells for name, *cells in rows if name[0].isupper() and not name.isupper() and "_" not in name}


@pytest.mark.parametrize("name", WRAPPERS)
def test_the_table_says_what_each_wrapper_does(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    if name in NEEDED:
        pytest.importorskip(NEEDED[name], reason=f"gymnasium's {name} needs it")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    results = {mode.value: [outcome(name, mode, in_numpy) for in_numpy in (False, True)] for mode in AutoresetMode}
    modes = [mode for mode in ("SameStep", "NextStep", "Disabled") if set(results[mode]) != {"no"}]
    kinds = {tuple(results[mode]) for mode in modes} or {("no", "no")}
    assert len(kinds) == 1, results
    shown = {0: "none", 3: "all"}.get(len(modes), ", ".join(modes))
    assert table()[name] == [*next(iter(kinds)), shown]


def test_the_table_has_every_wrapper_that_is_not_of_images_or_jax():
    others = {"ResizeObservation", "GrayscaleObservation", "JaxToNumpy", "JaxToTorch"}
    assert set(vector.__all__) == table().keys() | others == WRAPPERS.keys() | others
