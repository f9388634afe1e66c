"""The random numbers that a learner may draw from: torch's, NumPy's and Python's global generators."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within, the global generators start from a seed; afterwards, they are as before."""
    before = np.random.get_state(), random.getstate()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(before[0])
            random.setstate(before[1])


def random_state(device: torch.device) -> dict[str, Any]:
    """Return the state of the global generators, and of the device's, as tensors and plain values."""
    name, keys, *rest = np.random.get_state()
    state = {"rng": torch.get_rng_state(), "rng_python": random.getstate()}
    state["rng_numpy"] = name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest
    if device.type == "cuda":
        state["rng_cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Continue from what `random_state` returned; what an older checkpoint lacks stays as it is."""
    torch.set_rng_state(state["rng"])
    if "rng_python" in state:
        random.setstate(state["rng_python"])
        name, keys, *rest = state["rng_numpy"]
        np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    if "rng_cuda" in state and device.type == "cuda":
        torch.cuda.set_rng_state(state["rng_cuda"], device)


@contextmanager
def unchanged(device: torch.device) -> Iterator[None]:
    """Within, code may draw from the global generators, and from the device's; afterwards, they are as before."""
    before = random_state(device)
    try:
        yield
    finally:
        restore_random_state(before, device)
