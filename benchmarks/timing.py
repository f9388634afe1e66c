"""How long something takes."""

import statistics
import time
from collections.abc import Callable

import torch


def seconds(run: Callable[[], object], device: torch.device, repeats: int = 9) -> float:
    """Median wall time of a call, after one to warm up."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])
