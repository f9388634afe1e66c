"""How fast learners are meta-trained, beside a plain PyTorch loop of the paper's setting and the machine's own limit.

Rates are of whole training steps of `train`: episodes made, forward, backward, optimizer. FLOP/s count the matrix
products and attention of forward and backward (torch's FlopCounterMode; not factorisations, nor making episodes). Their
rate over that of one large matrix product, in the same precision and the same run, is the utilisation (MFU); it
bounds what any trainer of the same model can gain over the plain loop. Writes results/training.json.

    python benchmarks/training.py [--seconds 10] [--agents gru lstm] [--device cuda --precision bf16 --agent-batch 256]
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot
from torch.utils.flop_counter import FlopCounterMode

from gpicl_agents.training.presets import PRESETS
from gpicl_agents.training.progress import Progress
from gpicl_agents.training.run_setup import set_up
from gpicl_agents.training.supervised import TrainConfig, train
from gpicl_envs import load_dataset
from machine import write_result
from stepping import sequence_models

LENGTH, BATCH, WIDTH, LAYERS, HEADS = 50, 128, 256, 4, 8  # the paper's Transformer; context and batch of the issue
PAPER = {"tokens": "paper", "width": WIDTH, "n_layers": LAYERS, "n_heads": HEADS, "input_rank": 0, "n_projections": 1}
AGENT_LENGTH = 100  # for each agent with its default arguments
WARMUP = 4  # steps, in which models are compiled and CUDA graphs recorded
FEATURES, CLASSES = 784, 10


class Plain(nn.Module):
    """The paper's Transformer as one writes it first: an encoder of torch's, with a causal mask for every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(FEATURES + CLASSES, WIDTH)
        self.positions = nn.Parameter(0.02 * torch.randn(LENGTH, WIDTH))
        block = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(block, LAYERS, enable_nested_tensor=False)
        self.read_out = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K)."""
        previous = one_hot(y, CLASSES).float().roll(1, 1)
        previous[:, 0] = 0.0
        tokens = self.embed(torch.cat([x, previous], 2)) + self.positions
        mask = torch.full((LENGTH, LENGTH), -torch.inf, device=x.device).triu(1)
        mask = mask.expand(len(x) * HEADS, LENGTH, LENGTH).contiguous()
        return self.read_out(self.encoder(tokens, mask=mask))


def plain_episodes(device: torch.device) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of episodes, made one by one: draw images, a fresh d×d projection and a permutation."""
    data = load_dataset("MNIST")
    images = data.x["train"].reshape(len(data.x["train"]), -1).astype(np.float32)
    images = (images - images.mean()) / images.std()
    labels = data.y["train"]
    generator = np.random.default_rng(0)
    while True:
        xs, ys = [], []
        for _ in range(BATCH):
            index = generator.integers(len(images), size=LENGTH)
            projection = generator.standard_normal((FEATURES, FEATURES), np.float32) / np.float32(FEATURES**0.5)
            xs.append(images[index] @ projection.T)
            ys.append(generator.permutation(CLASSES)[labels[index]])
        yield torch.from_numpy(np.stack(xs)).to(device), torch.from_numpy(np.stack(ys)).long().to(device)


def plain_rates(seconds: float, device: torch.device) -> dict[str, float]:
    """Examples/s of the plain loop, after one step to warm up, and the fraction of its time that makes episodes."""
    torch.manual_seed(0)
    model = Plain().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    episodes, making, steps, started = plain_episodes(device), 0.0, -1, 0.0
    while steps < 1 or time.perf_counter() - started < seconds:
        if steps == 0:
            making, started = 0.0, time.perf_counter()
        began = time.perf_counter()
        x, y = next(episodes)
        making += time.perf_counter() - began
        loss = cross_entropy(model(x, y).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        steps += 1
    passed = time.perf_counter() - started
    return {"examples_per_second": steps * BATCH * LENGTH / passed, "share_making_episodes": making / passed}


def matmul_rate(device: torch.device, precision: str) -> float:
    """FLOP/s of the best of several products of large square matrices."""
    size = 8192 if device.type == "cuda" else 2048
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = torch.randn(2, size, size, device=device).to(kind)
    best = torch.inf
    for _ in range(10):
        start = time.perf_counter()
        torch.mm(a, b)
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def flop_per_example(learner: Any, env: Any) -> float:
    """Forward and backward FLOP of a batch, divided by its examples."""
    episodes = env.sample_episodes(0)
    with FlopCounterMode(display=False) as counter:
        logits = learner.predict(episodes.x, episodes.y)
        cross_entropy(logits.flatten(0, 1), episodes.y.flatten()).backward()
    learner.zero_grad()
    return counter.get_total_flops() / episodes.y.numel()


def our_rate(
    learner: str, arguments: dict[str, Any], batch: int, length: int, given: argparse.Namespace
) -> dict[str, float]:
    """Examples/s and FLOP/s of `train` after the first steps; on a GPU also the peak of its memory, in bytes."""
    agent, venv = set_up(
        learner, batch_size=batch, learner_kwargs=arguments, env_kwargs={"length": length}, device=given.device
    )
    venv.reset(seed=0)
    agent.train()
    flop = flop_per_example(agent, venv.unwrapped)
    warm: list[float] = []

    def note(progress: Progress) -> None:
        if progress.step == WARMUP:
            warm.append(progress.seconds)
        if progress.step > WARMUP and progress.seconds - warm[0] > given.seconds:
            progress.stopped = "measured"

    config = TrainConfig(steps=10**9, evaluate_every=0, precision=given.precision, compile_mode=given.compile_mode)
    is_cuda = torch.device(given.device).type == "cuda"
    if is_cuda:
        torch.cuda.reset_peak_memory_stats()
    progress = train(agent, venv, config, report=note)
    rate = (progress.step - WARMUP) * batch * length / (progress.seconds - warm[0])
    memory = {"peak_memory_bytes": torch.cuda.max_memory_allocated()} if is_cuda else {}
    return {"examples_per_second": rate, "flop_per_example": flop, "flop_per_second": rate * flop} | memory


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--agents", nargs="*", default=sequence_models(), help="with their default arguments")
    parser.add_argument("--agent-batch", type=int, default=16, help="episodes a step for agents and the preset fast")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32", choices=["float32", "bf16"])
    parser.add_argument("--compile-mode", default="no")
    given = parser.parse_args()
    device = torch.device(given.device)
    peak = matmul_rate(device, given.precision)
    threads = torch.get_num_threads()
    print(f"one matrix product: {peak / 1e9:,.0f} GFLOP/s ({given.precision}, {device}, {threads} threads)")
    loop = plain_rates(given.seconds, device)
    plain = loop["examples_per_second"]
    making = f"{100 * loop['share_making_episodes']:.0f} % of its time makes episodes"
    print(f"  {'plain PyTorch loop, paper setting':<44} {plain:>10,.0f} examples/s ({making})")
    fast = PRESETS["fast"]
    kinds = {
        "train, paper setting": ("transformer", PAPER, BATCH, LENGTH),
        "train, preset fast": (fast.learner, fast.learner_kwargs, given.agent_batch, AGENT_LENGTH),
        "train, preset fast, paper's batch and length": (fast.learner, fast.learner_kwargs, BATCH, LENGTH),
    }
    kinds |= {name: (name, {}, given.agent_batch, AGENT_LENGTH) for name in given.agents}
    rows = {}
    for name, kind in kinds.items():
        row = our_rate(*kind, given)
        row |= {"batch": kind[2], "length": kind[3], "utilisation": row["flop_per_second"] / peak}
        row["over_plain_loop"] = row["examples_per_second"] / plain
        row["over_plain_loop_at_the_matmul_rate"] = peak / row["flop_per_example"] / plain
        print(
            f"  {name:<44} {row['examples_per_second']:>10,.0f} examples/s {row['over_plain_loop']:6.1f}× the loop  "
            f"{row['flop_per_second'] / 1e9:8,.1f} GFLOP/s  {100 * row['utilisation']:5.1f} % "
            f"(at 100 %: {row['over_plain_loop_at_the_matmul_rate']:.1f}×)",
            flush=True,
        )
        rows[name] = row
    result = {name: getattr(given, name) for name in ("device", "precision", "compile_mode", "seconds")}
    result |= {"matmul_flop_per_second": peak, "plain_loop": loop, "train": rows}
    write_result(Path(__file__), result)


if __name__ == "__main__":
    main()
