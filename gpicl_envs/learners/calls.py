"""Calls of a learner that leave nothing behind: it gets copies, returns copies, and global settings are put back.

So no learner changes its own score, or another's, by what it does to its arguments, to its last logits, or to the
settings and random numbers of the process. Replaced functions and classes are not put back: only a process of its own
keeps these from others (`jobs/local.py`).
"""

import copy
import gc
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch

from gpicl_envs.learners.base import Learner, evaluating


class LearnerCheckError(AssertionError):
    """A learner failed its check; the message explains how and where."""


def require(condition: bool, message: str) -> None:
    """Raise LearnerCheckError with the message unless the condition holds."""
    if not condition:
        raise LearnerCheckError(message)


class ProcessSetting(NamedTuple):
    """A setting of the whole process: how to read it, and how to put it back."""

    get: Callable[[], Any]
    put_back: Callable[[Any], Any]


def _set_environment(values: dict[str, str]) -> None:
    for name in os.environ.keys() - values.keys():
        del os.environ[name]
    os.environ.update(values)


def _set_default_device(device: torch.device) -> None:
    torch.set_default_device(None if device.type == "cpu" else device)


def _set_warning_filters(filters: list[Any]) -> None:
    warnings.filters[:] = filters  # type: ignore[index]


def _denormals_are_zero() -> bool:
    return bool(np.float32(1e-40) * np.float32(1) == 0)


SETTINGS = (
    ProcessSetting(sys.getrecursionlimit, sys.setrecursionlimit),
    ProcessSetting(torch.get_default_device, _set_default_device),
    ProcessSetting(torch.get_default_dtype, torch.set_default_dtype),
    ProcessSetting(torch.get_num_threads, torch.set_num_threads),
    ProcessSetting(torch.is_grad_enabled, torch.set_grad_enabled),
    ProcessSetting(torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    ProcessSetting(torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    ProcessSetting(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    ProcessSetting(lambda: torch.is_autocast_enabled("cpu"), lambda on: torch.set_autocast_enabled("cpu", on)),
    ProcessSetting(lambda: torch.is_autocast_enabled("cuda"), lambda on: torch.set_autocast_enabled("cuda", on)),
    ProcessSetting(lambda: torch.backends.cudnn.benchmark, lambda on: setattr(torch.backends.cudnn, "benchmark", on)),
    ProcessSetting(_denormals_are_zero, torch.set_flush_denormal),
    ProcessSetting(np.geterr, lambda kinds: np.seterr(**kinds)),
    ProcessSetting(lambda: list(warnings.filters), _set_warning_filters),
    ProcessSetting(
        lambda: (sys.stdout, sys.stderr), lambda streams: vars(sys).update(stdout=streams[0], stderr=streams[1])
    ),
    ProcessSetting(gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
    ProcessSetting(os.getcwd, os.chdir),
    ProcessSetting(lambda: dict(os.environ), _set_environment),
)


@contextmanager
def settings_put_back() -> Iterator[None]:
    """Put the settings of the process back afterwards, if the block changed them."""
    before = [setting.get() for setting in SETTINGS]
    try:
        yield
    finally:
        for setting, value in zip(SETTINGS, before, strict=True):
            if setting.get() != value:
                setting.put_back(value)


class Caller:
    """Calls the methods of a learner in evaluation mode, without leaving a trace.

    The learner has a stream of global random numbers of its own, so that it draws the same ones whoever else is
    called.

    Args:
        learner: the learner.
    """

    def __init__(self, learner: Learner) -> None:
        self.learner = learner
        self._random = _random_state()

    def copy(self) -> "Caller":
        """Return a caller of a deep copy of the learner; of the learner itself, if that cannot be copied."""
        try:
            with self._without_trace():
                return Caller(copy.deepcopy(self.learner))
        except Exception:  # a learner may hold anything: locks, open files, more than fits into memory twice
            return Caller(self.learner)

    def draw_as(self, other: "Caller") -> None:
        """Draw the random numbers that another caller will draw next."""
        self._random = other._random

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> Any:
        """(B, N, D), (B, N) → what the learner returned, as a plain tensor; LearnerCheckError if it changed x or y."""
        return _plain(self._call("predict(x, y)", self.learner.predict, x, y), f"{self._name}.predict(x, y)", x)

    def start(self, batch_size: int) -> Any:
        """The state of B learners."""
        with self._without_trace():
            return self.learner.start(batch_size)

    def step(self, state: Any, x: torch.Tensor, y_previous: torch.Tensor) -> Any:
        """(B, D), (B, K) → what the learner returned, a plain tensor and a state; see `predict`."""
        result = self._call(
            "step(state, x, y_previous)", lambda *given: self.learner.step(state, *given), x, y_previous
        )
        if isinstance(result, tuple) and len(result) == 2:
            return _plain(result[0], f"{self._name}.step(...)", x), result[1]
        return result

    @property
    def _name(self) -> str:
        return type(self.learner).__name__

    def _call(self, called: str, method: Callable[..., Any], *given: torch.Tensor) -> Any:
        copies = [value.clone() for value in given]
        with self._without_trace():
            result = method(*copies)
        unchanged = all(_same_bits(copy, value) for copy, value in zip(copies, given, strict=True))
        hint = "compute new tensors (x = x - mean, not x -= mean), or work on x.clone()."
        require(unchanged, f"{self._name}.{called} changed its arguments in place: {hint}")
        return result

    @contextmanager
    def _without_trace(self) -> Iterator[None]:
        others = _random_state()
        with settings_put_back():
            _set_random_state(self._random)
            try:
                with evaluating(self.learner):
                    yield
            finally:
                self._random = _random_state()
                _set_random_state(others)


def _same_bits(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether two tensors hold the same bits, NaN included; compared eight bytes at a time where that is possible."""
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    integers = torch.int64 if left.numel() * left.element_size() % 8 == 0 else torch.uint8
    return torch.equal(*(value.contiguous().view(-1).view(integers) for value in (left, right)))


def _plain(logits: Any, method: str, given: torch.Tensor) -> Any:
    """A copy of logits, which the learner may keep and overwrite; other objects are returned as they are."""
    if not isinstance(logits, torch.Tensor):
        return logits
    kind = type(logits)
    if kind not in (torch.Tensor, torch.nn.Parameter, type(given)):
        raise LearnerCheckError(
            f"{method} returned {kind.__name__}, a subclass of torch.Tensor: return a plain tensor."
        )
    return logits.detach().clone()


def _random_state() -> tuple[Any, ...]:
    on_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return torch.get_rng_state(), np.random.get_state(), random.getstate(), on_gpus


def _set_random_state(state: tuple[Any, ...]) -> None:
    on_cpu, of_numpy, of_python, on_gpus = state
    torch.set_rng_state(on_cpu)
    np.random.set_state(of_numpy)
    random.setstate(of_python)
    for number, on_gpu in enumerate(on_gpus):
        torch.cuda.set_rng_state(on_gpu, number)
