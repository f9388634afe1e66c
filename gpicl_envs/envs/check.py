"""`check_vector_env` is to vector environments what gymnasium's `check_env` is to single ones."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from gpicl_envs.envs.check_returns import leaves, require
from gpicl_envs.envs.recorder import Shown, final_rows, play, play_again
from gpicl_envs.errors import check_integer

TOLERANCE = 1e-5  # relative and absolute, of a row from the single environment
ENDS = ("final_obs", "final_info")


def check_vector_env(
    env: VectorEnv[Any, Any, Any],
    single: Callable[[], gymnasium.Env[Any, Any]] | None = None,
    *,
    seed: int = 0,
    steps: int = 1000,
) -> None:
    """Check that a vector environment keeps gymnasium's conventions, in its autoreset mode.

    Checked in this order: its spaces are batches of the single spaces; everything that `reset` and `step` return has
    the right type, shape and dtype, lies in its space and on one device; infos have a mask `_key` for every key; what
    was returned is not overwritten later; the rules of the autoreset mode hold (`SAME_STEP`: `final_obs` and
    `final_info` of those that ended; `NEXT_STEP`: a step that only resets is worth 0; `DISABLED`: `reset_mask` resets
    those alone); the same seed and actions show the same again; and, given `single`, row i is what the single
    environment with seed + i shows, infos included, as in gymnasium's `SyncVectorEnv`.

    Call it for each autoreset mode. Arrays may be NumPy's or tensors; the environment is played and left in the middle.

    Args:
        env: the vector environment, at least two environments to tell rows apart.
        single: makes the single environment of one row. Leave it out where rows have no seeds of their own, as those of
            gymnasium's `CartPoleVectorEnv`.
        seed: of the resets and of the random actions.
        steps: the most steps to wait for the end of an episode.

    Raises:
        VectorEnvCheckError: the environment fails the check.

    Example:
        >>> import gymnasium, gpicl_envs
        >>> for mode in ("SameStep", "NextStep", "Disabled"):
        ...     env = gymnasium.make_vec("GPICL-Digits-v0", num_envs=3, length=5, autoreset_mode=mode)
        ...     gpicl_envs.check_vector_env(env, lambda: gymnasium.make("GPICL-Digits-v0", length=5))
    """
    seed, steps = check_integer("seed", seed, 0), check_integer("steps", steps, 1)
    _check_interface(env)
    shown = play(env, seed, steps)
    require(
        any(one.ended.any() for one in shown),
        f"No episode ended in {steps} steps, so autoreset was not seen: give shorter episodes, or more steps.",
    )
    RULES[env.metadata["autoreset_mode"]](env, shown)
    _compare(play_again(env, shown), shown, "differs when reset with the same seed and played again", 0.0)
    if single is not None:
        _check_rows(env, single, shown)


def _check_interface(env: Any) -> None:
    name = type(env).__name__
    require(isinstance(env, VectorEnv), f"{name} is not a gymnasium.vector.VectorEnv: derive it from that class.")
    number: Any = getattr(env, "num_envs", None)
    require(isinstance(number, int) and number > 0, f"{name}.num_envs is {number!r}, not a positive int.")
    mode = env.metadata.get("autoreset_mode")
    is_mode = isinstance(mode, AutoresetMode)
    require(is_mode, f"{name}.metadata['autoreset_mode'] is {mode!r}: set gymnasium.vector.AutoresetMode.SAME_STEP, ….")
    for kind in ("observation", "action"):
        single: Any = getattr(env, f"single_{kind}_space", None)
        batch = getattr(env, f"{kind}_space", None)
        is_space = isinstance(single, gymnasium.Space)
        require(is_space, f"{name}.single_{kind}_space is {single!r}, not a gymnasium.Space.")
        expected = batch_space(single, number)
        require(batch == expected, f"{name}.{kind}_space is {batch}, expected batch_space of {number}: {expected}.")


# -- The rules of the autoreset modes ----------------------------------------------------------------------------------


def _check_same_step(env: VectorEnv[Any, Any, Any], shown: list[Shown]) -> None:
    """The step that ends an episode shows the first observation of the next one; the last one is in the info."""
    for one in shown:
        for key in ENDS:
            mask = one.info.get(f"_{key}", np.zeros(env.num_envs, bool))
            require(
                np.array_equal(mask, one.ended),
                f"{one.call}: episodes ended in {_numbers(one.ended)}, but info has {key!r} of {_numbers(mask)} "
                f"(autoreset_mode SAME_STEP).",
            )
        if one.ended.any():
            rows = final_rows(env, one.info["final_obs"])
            for i in np.flatnonzero(one.ended):
                inside = env.single_observation_space.contains(rows[i])
                require(inside, f"{one.call}: info['final_obs'] of environment {i} lies outside the observation space.")


def _check_next_step(env: VectorEnv[Any, Any, Any], shown: list[Shown]) -> None:
    """The step after the end of an episode ignores its action, and only begins the next one."""
    for last, one in zip(shown, shown[1:], strict=False):
        for name, value in (("reward", one.reward), ("terminated", one.terminated), ("truncated", one.truncated)):
            wrong = last.ended & (value != 0)
            require(
                not wrong.any(),
                f"{one.call} only resets environments {_numbers(last.ended)} (autoreset_mode NEXT_STEP), but their "
                f"{name} is {value[last.ended]}, expected 0.",
            )


def _check_disabled(env: VectorEnv[Any, Any, Any], shown: list[Shown]) -> None:
    """`reset_mask` leaves the other environments where they are."""
    for last, one in zip(shown, shown[1:], strict=False):
        if one.mask is None:
            continue
        others = ~one.mask
        before = dict(leaves(last.observation, "observation"))
        for name, value in leaves(one.observation, "observation"):
            require(
                np.array_equal(value[others], before[name][others]),
                f"{one.call} changed the {name} of an environment that is not in the mask.",
            )
        for key, value in one.info.items():
            if key.startswith("_"):
                require(not value[others].any(), f"{one.call}: info[{key!r}] is {value.tolist()}, beyond the mask.")


RULES = {
    AutoresetMode.SAME_STEP: _check_same_step,
    AutoresetMode.NEXT_STEP: _check_next_step,
    AutoresetMode.DISABLED: _check_disabled,
}


# -- Comparisons -------------------------------------------------------------------------------------------------------


def _check_rows(
    env: VectorEnv[Any, Any, Any], single: Callable[[], gymnasium.Env[Any, Any]], shown: list[Shown]
) -> None:
    singles = SyncVectorEnv([single] * env.num_envs, autoreset_mode=env.metadata["autoreset_mode"])
    try:
        for kind in ("observation", "action"):
            mine, theirs = (getattr(one, f"single_{kind}_space") for one in (env, singles))
            require(mine == theirs, f"single_{kind}_space is {mine}, that of the single environment {theirs}.")
        why = f"is not what the single environment of that seed shows (row i: seed {shown[0].seed} + i)"
        others = play_again(singles, shown)
        _compare(shown, others, why, TOLERANCE)
        everywhere = np.ones(env.num_envs, bool)
        for one, other in zip(shown, others, strict=True):
            infos = _with_final_rows(env, one.info), _with_final_rows(singles, other.info)
            _compare_infos(f"{one.call}: info", *infos, everywhere, why)
    finally:
        singles.close()


def _compare(shown: list[Shown], others: list[Shown], why: str, tolerance: float) -> None:
    """Row by row, all but the infos, which may hold durations."""
    for one, other in zip(shown, others, strict=True):
        for name in ("observation", "reward", "terminated", "truncated"):
            expected = dict(leaves(getattr(other, name), name))
            for place, value in leaves(getattr(one, name), name):
                for i, row in enumerate(value):
                    _check_same(f"{one.call}: row {i} of {place} {why}", row, expected[place][i], tolerance)


def _with_final_rows(env: VectorEnv[Any, Any, Any], info: dict[str, Any]) -> dict[str, Any]:
    return info | {"final_obs": final_rows(env, info["final_obs"])} if "final_obs" in info else info


def _compare_infos(
    place: str, info: dict[str, Any], other: dict[str, Any], within: NDArray[np.bool_], why: str
) -> None:
    """What the masks say that environments have, of those within an outer mask."""
    for key in sorted({key for key in (*info, *other) if not key.startswith("_")}):
        mask, expected = (given.get(f"_{key}", within & (key in given)) & within for given in (info, other))
        here = f"{place}[{key!r}]"
        require(
            np.array_equal(mask, expected),
            f"{here} {why}: environments {_numbers(mask)} have it, expected {_numbers(expected)}.",
        )
        if mask.any() and isinstance(info[key], dict):
            _compare_infos(here, info[key], other[key], mask, why)
            continue
        for i in np.flatnonzero(mask):
            theirs = dict(leaves(other[key][i], ""))
            for inner, value in leaves(info[key][i], ""):
                _check_same(f"Row {i} of {here}{inner} {why}", value, theirs.get(inner), TOLERANCE)


def _check_same(what: str, value: Any, expected: Any, tolerance: float) -> None:
    mine, theirs = np.asarray(value), np.asarray(expected)
    if mine.shape == theirs.shape and mine.dtype.kind in "fiub" and theirs.dtype.kind in "fiub":
        close = np.allclose(mine, theirs, rtol=tolerance, atol=tolerance, equal_nan=True)
        place = () if close or not mine.ndim else tuple(np.argwhere(~np.isclose(mine, theirs, tolerance, tolerance))[0])
        require(close, f"{what}: {mine[place]} instead of {theirs[place]}.")
    else:
        require(np.array_equal(mine, theirs), f"{what}: {value!r} instead of {expected!r}.")


def _numbers(mask: NDArray[np.bool_]) -> list[int]:
    return np.flatnonzero(mask).tolist()
