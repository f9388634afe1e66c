"""What one prediction at a time costs: cached `step` over whole episodes beside one `predict`, and the state's growth.

Every registered sequence model with its default arguments, on 256 episodes of 100 examples; one run measures
everything, each figure the median of several repeats, and writes results/stepping.json.

    python benchmarks/stepping.py [--learners transformer gru] [--episodes 256] [--length 100] [--device cuda]
"""

import argparse
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import one_hot, pad

from gpicl_envs import TaskDistribution, make_learner
from gpicl_envs.learners.registry import find_class, learner_targets
from machine import write_result
from timing import seconds

FEW = 16  # episodes whose states' bytes are counted


def sequence_models() -> list[str]:
    """Return the names of the registered learners that are meta-trained."""
    classes = {name: find_class(target) for name, target in learner_targets().items()}
    return [name for name, made in classes.items() if isinstance(made, type) and issubclass(made, torch.nn.Module)]


def play(learner: Any, x: torch.Tensor, feedback: torch.Tensor) -> Any:
    """(B, N, D), (B, N, K) through `step`, example by example; returns the last state."""
    state = learner.start(len(x))
    for n in range(x.shape[1]):
        _, state = learner.step(state, x[:, n], feedback[:, n])
    return state


def tensors(state: Any) -> Iterator[torch.Tensor]:
    """All tensors that a state holds, at any depth."""
    if isinstance(state, torch.Tensor):
        yield state
    elif isinstance(state, dict):
        yield from tensors(list(state.values()))
    elif isinstance(state, list | tuple):
        for part in state:
            yield from tensors(part)
    elif is_dataclass(state):
        yield from tensors([getattr(state, field.name) for field in fields(state)])


def held_bytes(state: Any) -> int:
    """Bytes of the memory that a state keeps alive: of whole storages, each counted once."""
    storages = [tensor.untyped_storage() for tensor in tensors(state)]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


@torch.inference_mode()
def measure(name: str, episodes: int, length: int, device: torch.device, repeats: int) -> dict[str, Any]:
    """Seconds of `step` and `predict` on the same episodes, and bytes of the state at four lengths."""
    learner: Any = make_learner(name)
    learner.to(device).eval()
    drawn = TaskDistribution("MNIST", split="test", length=length, device=device).sample(episodes)
    feedback = pad(one_hot(drawn.y, learner.n_classes).float()[:, :-1], (0, 0, 1, 0))
    predicted = seconds(lambda: learner.predict(drawn.x, drawn.y), device, repeats)
    stepped = seconds(lambda: play(learner, drawn.x, feedback), device, repeats)
    growth = {}
    for n in (length // 2, length, 2 * length, 4 * length):
        few = TaskDistribution("MNIST", split="test", length=n, device=device).sample(FEW)
        held = held_bytes(play(learner, few.x, pad(one_hot(few.y, learner.n_classes).float()[:, :-1], (0, 0, 1, 0))))
        growth[n] = {"bytes": held // FEW, "state_size": learner.state_size(n)}
    return {
        "arguments": learner.get_params(),
        "predict_seconds": predicted,
        "step_seconds": stepped,
        "step_over_predict": stepped / predicted,
        "state_bytes_per_episode": growth,
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learners", nargs="+", default=sequence_models())
    parser.add_argument("--episodes", type=int, default=256)
    parser.add_argument("--length", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    print(f"{given.episodes} episodes × {given.length} examples, {given.device}, {torch.get_num_threads()} threads")
    rows = {}
    for name in given.learners:
        row = measure(name, given.episodes, given.length, torch.device(given.device), given.repeats)
        growth = "  ".join(f"N={n}: {at['bytes']:,}" for n, at in row["state_bytes_per_episode"].items())
        print(
            f"  {name:<20} predict {row['predict_seconds']:7.3f} s   step {row['step_seconds']:7.3f} s   "
            f"{row['step_over_predict']:5.2f}×   bytes of an episode's state: {growth}",
            flush=True,
        )
        rows[name] = row
    result = {"device": given.device, "episodes": given.episodes, "length": given.length, "learners": rows}
    write_result(Path(__file__), result)


if __name__ == "__main__":
    main()
