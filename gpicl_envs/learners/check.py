"""Checks of learners: `check_learner` is to them what gymnasium's `check_env` is to environments."""

import inspect
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from gpicl_envs.errors import check_integer, one_line
from gpicl_envs.learners.base import Learner, encoded
from gpicl_envs.learners.calls import Caller, LearnerCheckError, require
from gpicl_envs.learners.rounding import TOLERANCE, rounding, spread
from gpicl_envs.tasks.base import EpisodeDistribution

MOST_POSITIONS = 16
SHORT = 8  # examples, which every learner should manage
SLOW = 0.25  # seconds for a prediction of the trial batch above which fewer positions are tried, on two episodes

Trial = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]  # x, y, and the others that replace them


def check_learner(
    learner: Any,
    *,
    batch_size: int = 4,
    length: int = 12,
    seed: int = 0,
    report: Callable[[str], object] | None = None,
) -> None:
    """Check that a learner does what `gpicl_envs.Learner` promises, above all that it cannot see the future.

    Checked in this order: the methods and attributes exist; `predict` returns finite floating-point logits (B, N, K),
    the same when called again, and leaves its inputs unchanged; row n stays bit-identical when x[n+1:] or y[n:] change,
    but for rounding (`rounding.py`), which a computation over the whole episode has, such as an FFT; an episode stays
    bit-identical when the others of its batch change, and within 1e-4 when the batch or the episode is shorter;
    `step` gives the rows of `predict` within 1e-4; `state_size` is a whole number that does not shrink.

    A slow learner, which takes more than a quarter of a second for the trial batch, is tried on two episodes and fewer
    positions: the first, the last, two random ones, and its `critical_positions`.

    Args:
        learner: the learner to check.
        batch_size: B of the trial batch, at least 2.
        length: N of the trial episodes, at least 2; up to 16 positions are tried, the first and the last among them.
        seed: seed of the trial data.
        report: called with a line that says how long the check of a slow learner takes.

    Raises:
        LearnerCheckError: the learner fails the check.
    """
    batch_size, length = check_integer("batch_size", batch_size, 2), check_integer("length", length, 2)
    seed = check_integer("seed", seed, 0)
    _check_interface(learner)
    x, y = _trial_episodes(learner, batch_size, length, seed)
    other_x, other_y = _trial_episodes(learner, batch_size, length, seed + 1)
    if learner.n_classes == 1:
        other_y = y + 1 + other_y.abs()
    else:
        other_y = (y + 1 + other_y % (learner.n_classes - 1)) % learner.n_classes  # differs from y everywhere
    caller, trial = Caller(learner), (x, y, other_x, other_y)
    with torch.no_grad():
        logits, seconds = _check_predict(caller, x, y)
        few = _few_positions(learner, length, seed) if seconds > SLOW else None
        if few is not None:
            x, y, *_ = trial = tuple(values[:2] for values in trial)  # type: ignore[assignment]
            if report is not None:
                report(_announcement(learner, few, length, seconds / batch_size))
            logits = caller.predict(x, y)
        _check_causality(caller, trial, logits, few)
        _check_batch(caller, *trial, logits)
        if few is None or type(learner).step is not Learner.step:
            _check_step(caller, x, y, logits)
        else:
            _check_derived_step(caller, x, y, logits)
    _check_state_size(learner, length)


def check_length(learner: Any, length: int) -> None:
    """Raise LearnerCheckError unless the learner predicts episodes of this length, as one does without a limit."""
    with torch.no_grad():
        _predict_long(Caller(learner), *_trial_episodes(learner, 2, length, seed=0))


def check_fit(learner: Learner, tasks: EpisodeDistribution) -> None:
    """Raise ValueError unless the learner is made for the D and K of the tasks."""
    for letter, attribute in (("D", "n_features"), ("K", "n_classes")):
        own, needed = getattr(learner, attribute), getattr(tasks, attribute)
        if own != needed:
            raise ValueError(
                f"{learner.name} is made for {attribute}={own}, but the tasks have {needed} ({letter}): make the "
                f"learner with {attribute}={needed}, or the tasks with {attribute}={own}."
            )


def _trial_episodes(learner: Any, batch_size: int, length: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Gaussian clusters, or linear functions for K = 1: y can be learned from x. (B, N, D) and (B, N)."""
    generator = torch.Generator().manual_seed(seed)
    if learner.n_classes == 1:
        x = torch.randn(batch_size, length, learner.n_features, generator=generator, dtype=torch.float32)
        weights = torch.randn(batch_size, learner.n_features, 1, generator=generator, dtype=torch.float32)
        return x.to(learner.device), (x @ weights)[..., 0].to(learner.device)
    means = torch.randn(batch_size, learner.n_classes, learner.n_features, generator=generator, dtype=torch.float32)
    y = torch.randint(learner.n_classes, (batch_size, length), generator=generator)
    noise = torch.randn(batch_size, length, learner.n_features, generator=generator, dtype=torch.float32)
    x = 0.8 * means.gather(1, y[..., None].expand_as(noise)) + 0.6 * noise
    return x.to(learner.device), y.to(learner.device)


def _check_interface(learner: Any) -> None:
    name = type(learner).__name__
    require(not inspect.isclass(learner), f"{learner!r} is a class: give an instance of it.")
    for method in ("predict", "start", "step", "state_size"):
        hint = "derive it from Learner, or give act:module:Class for an agent with act()."
        require(callable(getattr(learner, method, None)), f"{name} has no method {method}(): {hint}")
    for attribute in ("n_features", "n_classes"):
        value = getattr(learner, attribute, None)
        hint = "call super().__init__(n_features, n_classes) in its constructor."
        require(isinstance(value, int) and value > 0, f"{name}.{attribute} is {value!r}, not a positive int: {hint}")
    for attribute in ("name", "device", "n_parameters"):
        require(hasattr(learner, attribute), f"{name} has no attribute {attribute}: derive it from Learner.")
    require(isinstance(learner.name, str) and learner.name != "", f"{name}.name is {learner.name!r}, not a name.")


def check_logits(logits: Any, shape: tuple[int, ...], method: str) -> None:
    """Raise LearnerCheckError unless `logits` is a finite floating-point tensor of this shape."""
    require(isinstance(logits, torch.Tensor), f"{method} returned {type(logits).__name__}, not a torch tensor.")
    given = tuple(logits.shape)
    require(given == shape, f"{method} returned logits of shape {given}, expected {shape} (…, K).")
    require(logits.is_floating_point(), f"{method} returned {logits.dtype}, not floating-point logits.")
    bad = (~logits.isfinite()).nonzero()
    if len(bad):
        place = tuple(bad[0].tolist())
        raise LearnerCheckError(f"{method} returned {logits[place].item()} at {place} (episode, …, class): not finite.")


def _check_predict(caller: Caller, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, float]:
    """The logits, and the seconds that they take; the first call may have to load something."""
    logits: torch.Tensor = _predict_long(caller, x, y)
    check_logits(logits, (*y.shape, caller.learner.n_classes), "predict(x, y)")
    start = time.perf_counter()
    again = caller.predict(x, y)
    seconds = time.perf_counter() - start
    require(torch.equal(again, logits), "predict(x, y) gave other logits when called again.")
    return logits, seconds


def _predict_long(caller: Caller, x: torch.Tensor, y: torch.Tensor) -> Any:
    """What `predict` returns; if it fails although it predicts short episodes, the error says so."""
    try:
        return caller.predict(x, y)
    except (LearnerCheckError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        try:
            if y.shape[1] <= SHORT:
                raise error
            caller.predict(x[:, :SHORT], y[:, :SHORT])
        except Exception:
            raise error from None
        raise LearnerCheckError(
            f"{caller.learner.name} predicts episodes of {SHORT} examples, but not of {y.shape[1]}: predict raised "
            f"{one_line(error)}. Make it for longer episodes, such as with more positions, or give shorter ones."
        ) from error


def _few_positions(learner: Any, length: int, seed: int) -> list[int]:
    random = np.random.default_rng(seed).integers(0, length, 2).tolist()
    critical = (
        [n for n in learner.critical_positions(length) if 0 <= n < length] if isinstance(learner, Learner) else []
    )
    return sorted({0, length - 1, *random, *critical[:MOST_POSITIONS]})


def _announcement(learner: Any, positions: Sequence[int], length: int, seconds: float) -> str:
    calls = len(positions) + 5  # of two episodes: also a call before, one after, shorter ones, and steps
    return (
        f"{learner.name} is slow ({seconds:.2g} s for an episode of {length}): it is checked at the positions "
        f"{', '.join(map(str, positions))}, in about {2 * seconds * calls:.0f} s."
    )


def _check_causality(caller: Caller, trial: Trial, logits: torch.Tensor, few: Sequence[int] | None) -> None:
    x, y, other_x, other_y = trial
    allowed = cache(lambda: rounding(caller, x, y, logits))
    positions = torch.arange(y.shape[1], device=y.device)
    every = torch.linspace(0, y.shape[1] - 1, min(y.shape[1], MOST_POSITIONS)).round().int().tolist()
    for n in every if few is None else few:
        rows, changed_y = logits[:, : n + 1], torch.where(positions >= n, other_y, y)
        changed_x = torch.where((positions > n)[:, None], other_x, x)
        if few is not None and torch.equal(caller.predict(changed_x, changed_y)[:, : n + 1], rows):
            continue  # both at once take half the time; which of them it was is found out below
        labels = (
            f"labels from position {n} on. Row n may use x[:, :n+1] and y[:, :n] only: y[:, n] is what it predicts."
        )
        _check_unchanged(caller.predict(x, changed_y), rows, allowed, labels)
        inputs = f"inputs after position {n}. Row n may use x[:, :n+1] only: look for a mean, norm or attention over "
        _check_unchanged(caller.predict(changed_x, y), rows, allowed, inputs + "the whole episode.")


def _check_unchanged(logits: torch.Tensor, rows: torch.Tensor, allowed: Callable[[], float], cause: str) -> None:
    """The first rows of the logits must be these, to the last bit or but for rounding."""
    changes = logits[:, : rows.shape[1]] - rows
    if not changes.any():
        return
    explained, found = allowed(), spread(changes)
    if (found <= explained).all():
        return
    row = int((~(found <= explained)).nonzero()[0])
    raise LearnerCheckError(
        f"Not causal: the prediction at position {row} changed with {cause} (By {float(found[row]):.2g}, of which "
        f"rounding explains at most {explained:.2g}: root mean squares.)"
    )


def _check_batch(
    caller: Caller, x: torch.Tensor, y: torch.Tensor, other_x: torch.Tensor, other_y: torch.Tensor, logits: torch.Tensor
) -> None:
    first = torch.arange(len(x), device=x.device) == 0
    mixed = caller.predict(torch.where(first[:, None, None], x, other_x), torch.where(first[:, None], y, other_y))
    require(
        torch.equal(mixed[0], logits[0]),
        "Episodes leak: the predictions of episode 0 changed with the other episodes of the batch.",
    )
    _check_close(caller.predict(x[:1], y[:1]), logits[:1], "predict on a batch of one differs from the same row of")
    half = x.shape[1] // 2
    _check_close(
        caller.predict(x[:, :half], y[:, :half]), logits[:, :half], "predict on a shorter episode differs from"
    )


def _check_step(caller: Caller, x: torch.Tensor, y: torch.Tensor, logits: torch.Tensor) -> None:
    n_classes = caller.learner.n_classes
    state, previous = caller.start(len(x)), torch.zeros(len(x), n_classes, dtype=torch.float32, device=x.device)
    for n in range(x.shape[1]):
        result = caller.step(state, x[:, n], previous)
        is_pair = isinstance(result, tuple) and len(result) == 2
        require(is_pair, f"step(...) returned {type(result).__name__}, expected (logits, state).")
        row, state = result
        check_logits(row, (len(x), n_classes), "step(...)")
        _check_close(row, logits[:, n], f"step at position {n} differs from that row of")
        previous = encoded(y[:, n], n_classes)


def _check_derived_step(caller: Caller, x: torch.Tensor, y: torch.Tensor, logits: torch.Tensor) -> None:
    """The step that `Learner` derives from `predict`, at three positions: its state is the examples before them."""
    for n in sorted({1, y.shape[1] // 2, y.shape[1] - 1}):
        previous = encoded(y[:, n - 1], caller.learner.n_classes)
        row, _ = caller.step((x[:, :n], y[:, : n - 1]), x[:, n], previous)
        _check_close(row, logits[:, n], f"step at position {n} differs from that row of")


def _check_close(given: torch.Tensor, expected: torch.Tensor, what: str) -> None:
    scale = expected.abs().max().clamp_min(1.0)
    gap = ((given - expected).abs().max() / scale).item()
    require(gap <= TOLERANCE, f"{what} predict(x, y): by {gap:.2g} of the largest logit, allowed {TOLERANCE}.")


def _check_state_size(learner: Any, length: int) -> None:
    sizes = [learner.state_size(n) for n in (0, 1, length)]
    whole = all(isinstance(size, int) and size >= 0 for size in sizes)
    require(whole and sizes == sorted(sizes), f"state_size(0), (1), ({length}) = {sizes}: not growing whole numbers.")
