"""How fast a single environment steps, resets included: as libraries use it that make their own vectors.

One run measures everything on one thread, each figure the median of several repeats of 20 episodes, beside CartPole's
2,000 steps, and writes results/single_env.json.

    python benchmarks/single_env.py [--note "machine shared with other work"]
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import gymnasium
import torch

import gpicl_envs  # noqa: F401 (registers the ids)
from machine import write_result

STEPS, REPEATS = 2000, 7
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "gymnasium.make": ("GPICL-MNIST-v0", {}),
    "without the passive checker": ("GPICL-MNIST-v0", {"disable_env_checker": True}),
    "bandit feedback": ("GPICL-MNIST-v0", {"feedback": "reward"}),
    "logits": ("GPICL-MNIST-v0", {"action": "logits"}),
    "2^16 numbered tasks": ("GPICL-MNIST-v0", {"n_tasks": 2**16}),
    "values": ("GPICL-LinearRegression-v0", {}),
    "CartPole-v1": ("CartPole-v1", {}),
}


def play(env: gymnasium.Env[Any, Any], action: Any) -> tuple[float, float, int]:
    """Seconds of STEPS steps with the resets that they need, seconds of the resets alone, and their number."""
    resets, n_resets = 0.0, 0
    begun = time.perf_counter()
    env.reset()
    for _ in range(STEPS):
        if any(env.step(action)[2:4]):
            start = time.perf_counter()
            env.reset()
            resets += time.perf_counter() - start
            n_resets += 1
    return time.perf_counter() - begun, resets, n_resets


def measure(kind: str) -> dict[str, float]:
    """Steps/s with resets, and how a step and a reset share the time."""
    env_id, arguments = KINDS[kind]
    env = gymnasium.make(env_id, **arguments)
    env.reset(seed=0)
    env.action_space.seed(0)
    action = env.action_space.sample()
    play(env, action)  # to warm up
    totals, resets, counts = zip(*(play(env, action) for _ in range(REPEATS)), strict=True)
    total, reset, n_resets = map(statistics.median, (totals, resets, counts))
    return {
        "steps_per_second": STEPS / total,
        "microseconds_per_step": 1e6 * (total - reset) / STEPS,
        "microseconds_per_reset": 1e6 * reset / n_resets,
        "fraction_of_resets": reset / total,
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--note", help="what the numbers depend on, kept beside them")
    note = parser.parse_args().note
    torch.set_num_threads(1)
    kinds = {}
    for kind in KINDS:
        row = kinds[kind] = measure(kind)
        print(
            f"  {kind:<28} {row['steps_per_second']:>8,.0f} steps/s   {row['microseconds_per_step']:6.1f} µs a step   "
            f"{row['microseconds_per_reset']:8,.0f} µs a reset, {row['fraction_of_resets']:4.0%} of the time",
            flush=True,
        )
    write_result(Path(__file__), {"note": note, "steps": STEPS, "repeats": REPEATS, "kinds": kinds})


if __name__ == "__main__":
    main()
