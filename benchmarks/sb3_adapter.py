"""What a step costs under stable-baselines3: `Sb3VecEnv` beside its `DummyVecEnv` of single environments.

One run measures everything, each figure the median of several repeats, and writes results/sb3_adapter.json. The single
environments are made without gymnasium's checker, which would make them slower still.

    python benchmarks/sb3_adapter.py [--num-envs 256]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

import gpicl_envs  # noqa: F401 (registers the ids)
from gpicl_envs.wrappers.sb3 import Sb3VecEnv
from machine import write_result

ENV_ID, LENGTH = "GPICL-MNIST-v0", 100


def cost(env: VecEnv, repeats: int) -> dict[str, float]:
    """Milliseconds per step of all environments, within an episode and with the making of new episodes."""
    actions = np.zeros(env.num_envs, np.int64)

    def milliseconds(steps: int) -> float:
        start = time.perf_counter()
        for _ in range(steps):
            env.step(actions)
        return 1000 * (time.perf_counter() - start) / steps

    env.seed(0)
    env.reset()
    milliseconds(LENGTH)  # to warm up; ends with new episodes, made
    whole = statistics.median(milliseconds(LENGTH) for _ in range(repeats))
    within = []
    for _ in range(repeats):
        env.reset()
        within.append(milliseconds(LENGTH - 1))
    return {"within an episode": statistics.median(within), "whole episodes, resets included": whole}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-envs", type=int, default=256)
    num_envs = parser.parse_args().num_envs
    single: Callable[[], gymnasium.Env[object, object]] = lambda: gymnasium.make(ENV_ID, disable_env_checker=True)  # noqa: E731
    costs = {
        "DummyVecEnv": cost(DummyVecEnv([single] * num_envs), repeats=3),
        "Sb3VecEnv": cost(Sb3VecEnv(ENV_ID, num_envs=num_envs), repeats=9),
        "Sb3VecEnv, flat": cost(Sb3VecEnv(ENV_ID, num_envs=num_envs, flatten=True), repeats=9),
    }
    slowest = costs["DummyVecEnv"]
    ratios = {name: {kind: slowest[kind] / mine[kind] for kind in mine} for name, mine in costs.items()}
    print(f"ms per step of {num_envs} environments, {ENV_ID}, {torch.get_num_threads()} threads")
    for name, mine in costs.items():
        figures = "   ".join(f"{kind} {mine[kind]:8.3f} ({ratios[name][kind]:5.1f}×)" for kind in mine)
        print(f"  {name:<16} {figures}")
    result = {"environment": ENV_ID, "num_envs": num_envs, "milliseconds_per_step": costs}
    write_result(Path(__file__), result | {"ratio_to_DummyVecEnv": ratios})


if __name__ == "__main__":
    main()
