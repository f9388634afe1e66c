"""How fast episodes are made and environments step, beside the obvious ways and the machine's own limits.

One run measures everything, each figure the median of several repeats, and writes results/env_throughput.json.

    python benchmarks/env_throughput.py [--device cuda]
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

import gpicl_envs
from machine import write_result
from timing import seconds

LENGTH, FEATURES, BATCH = 100, 784, 64
NUM_ENVS, MANY_ENVS = 256, 8192  # the larger number fills a GPU
OURS, THEIRS = "make_vec", "SyncVectorEnv of the single environment"


def sampling(device: torch.device) -> dict[str, float]:
    """Examples/s of N = 100, D = N_x = 784 MNIST episodes, B = 64 at a time."""
    examples = BATCH * LENGTH
    rates = {}
    kinds: dict[str, dict[str, Any]] = {
        "sample_episodes, one-off tasks": {},
        "sample_episodes, 2^4 tasks": {"n_tasks": 2**4},
        "sample_episodes, 2^24 tasks": {"n_tasks": 2**24},
    }
    for name, arguments in kinds.items():
        env = gymnasium.make_vec("GPICL-MNIST-v0", num_envs=BATCH, device=str(device), **arguments)
        env.reset(seed=0)
        rates[name] = examples / seconds(env.unwrapped.sample_episodes, device)  # type: ignore[attr-defined]

    tasks = gpicl_envs.TaskDistribution("MNIST", device=device)
    index = tasks.sample(BATCH).index
    images = tasks.images(index)

    def naive() -> torch.Tensor:
        """What one writes first: a d×d Gaussian matrix for every episode."""
        matrices = torch.randn(BATCH, FEATURES, FEATURES, device=device) / FEATURES**0.5
        return torch.bmm(tasks.images(index), matrices.mT)

    square = torch.randn(BATCH, LENGTH, LENGTH, device=device)

    def bound() -> torch.Tensor:
        """The least that the Cholesky route could cost with torch's own normals: N×D of them, one product L Z."""
        return torch.bmm(square, torch.randn(BATCH, LENGTH, FEATURES, device=device))

    rates["naive d×d projection"] = examples / seconds(naive, device, repeats=3)
    rates["lower bound: torch.randn and one bmm"] = examples / seconds(bound, device)
    rates["torch.randn of N×D alone"] = examples / seconds(
        lambda: torch.randn(BATCH, LENGTH, FEATURES, device=device), device
    )
    streams = tasks.sample(BATCH).tasks.streams
    pieces = [streams[i : i + 8] for i in range(0, BATCH, 8)]  # in cache, as the tasks draw them
    rates["normals of gpicl_envs.sampling.philox alone"] = examples / seconds(
        lambda: [piece.normal(LENGTH, FEATURES) for piece in pieces], device
    )
    rates["two products (X X^T and L Z) alone"] = examples / seconds(
        lambda: (torch.bmm(images, images.mT), torch.bmm(square, images)), device
    )
    return rates


def stepping(device: torch.device, num_envs: int, kind: str) -> dict[str, float]:
    """Environment steps/s of ours or of gymnasium's vector of single ones, without and with the resets."""
    kinds: dict[str, tuple[dict[str, Any], Any]] = {
        OURS: ({"device": str(device)}, torch.zeros(num_envs, dtype=torch.int64, device=device)),
        THEIRS: ({"vectorization_mode": "sync"}, np.zeros(num_envs, np.int64)),
    }
    arguments, actions = kinds[kind]
    env = gymnasium.make_vec("GPICL-MNIST-v0", num_envs=num_envs, **arguments)

    def play(steps: int) -> Callable[[], object]:
        return lambda: [env.step(actions) for _ in range(steps)]

    env.reset(seed=0)
    within = num_envs * 24 / seconds(play(24), device, repeats=3)  # 4 × 24 steps: no episode ends
    whole = num_envs * LENGTH / seconds(play(LENGTH), device, repeats=3)
    return {"within an episode": within, "whole episodes, resets included": whole}


PEAK_MEMORY = """
import gymnasium, torch, gpicl_envs
def make(num_envs):
    env = gymnasium.make_vec("GPICL-MNIST-v0", num_envs=num_envs, device=DEVICE)
    env.reset(seed=0)
    for _ in range(101):  # one whole episode, and the next one begun
        env.step(torch.zeros(num_envs, dtype=torch.int64, device=DEVICE))
    return env
def peak():
    if torch.device(DEVICE).type == "cuda":
        return torch.cuda.max_memory_allocated()
    status = open("/proc/self/status").read()  # getrusage would count the peak of the process that started this one
    return 1024 * int(status.split("VmHWM:")[1].split()[0])
make(8)
before = peak()
kept = make(4096)
print(peak() - before)
"""


def memory(device: torch.device) -> dict[str, float]:
    """Peak bytes (Linux) that a 4,096 × 100 × 784 vector environment adds to a process where a small one has played."""
    program = f"DEVICE = {str(device)!r}\n{PEAK_MEMORY}"
    added = int(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)
    tensor = 4096 * LENGTH * FEATURES * 4
    return {"peak bytes added": added, "bytes of the inputs": tensor, "ratio": added / tensor}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    device = torch.device(parser.parse_args().device)
    sampled, peak = sampling(device), memory(device)
    stepped = {kind: stepping(device, NUM_ENVS, kind) for kind in (OURS, THEIRS)}
    print(f"examples/s (N={LENGTH}, D=N_x={FEATURES}, B={BATCH}, {device}, {torch.get_num_threads()} threads)")
    one_off = sampled["sample_episodes, one-off tasks"]
    for name, rate in sampled.items():
        print(f"  {name:<42} {rate:>12,.0f}   {one_off / rate:6.2f}× slower than sample_episodes")
    print(f"environment steps/s, {NUM_ENVS} environments")
    ours, theirs = stepped.values()
    ratios = {kind: ours[kind] / theirs[kind] for kind in ours}
    for kind, ratio in ratios.items():
        print(f"  {kind:<34} make_vec {ours[kind]:>10,.0f}   SyncVectorEnv {theirs[kind]:>8,.0f}   {ratio:4.0f}×")
    many_over_few = sampled["sample_episodes, 2^24 tasks"] / sampled["sample_episodes, 2^4 tasks"]
    print(f"2^24 numbered tasks at {many_over_few:.2f} of the speed of 2^4")
    print(f"memory of 4,096 environments: {peak['ratio']:.2f}× their inputs")
    if device.type == "cuda":
        many = f"{OURS}, {MANY_ENVS} environments"
        stepped[many] = stepping(device, MANY_ENVS, OURS)
        print(f"{many}: {stepped[many]['whole episodes, resets included']:,.0f} steps/s, resets included")
    result: dict[str, Any] = {"device": str(device), "examples_per_second": sampled, "env_steps_per_second": stepped}
    result |= {"memory_4096_envs": peak, "speed_of_2^24_over_2^4_tasks": many_over_few}
    over_naive = one_off / sampled["naive d×d projection"]
    write_result(Path(__file__), result | {"stepping_ratio": ratios, "sampling_over_naive": over_naive})


if __name__ == "__main__":
    main()
