"""Which label each example of an episode gets: ρ, its drift and bias, and noise."""

from collections.abc import Sequence

import numpy as np
import torch

from gpicl_envs.errors import check_bool, check_fraction
from gpicl_envs.sampling.class_sequences import active_numbers
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.substreams import BIAS, IS_NOISY, LABELS, NOISE, SEGMENT_SUBSTREAMS, SHARED


def check_bias(permute_labels: bool, bias: float) -> tuple[bool, float]:
    """Return both; ValueError if one has no effect beside the other."""
    permute_labels, bias = check_bool("permute_labels", permute_labels), check_fraction("permutation_bias", bias)
    if bias and not permute_labels:
        raise ValueError(f"permutation_bias={bias} has no effect with permute_labels=False: leave one out.")
    return permute_labels, bias


def draw_permutations(task: Streams, n_labels: int, n_segments: int, bias: float, task_seed: int) -> torch.Tensor:
    """Return (B, S, n_labels) int64: ρ of each segment of each task.

    With probability `bias` it is one fixed permutation, a function of `task_seed`.
    """
    offsets = range(0, n_segments * SEGMENT_SUBSTREAMS, SEGMENT_SUBSTREAMS)
    own = torch.stack([task.permutation(n_labels, substream=LABELS + offset) for offset in offsets], dim=1)
    if bias == 0:
        return own
    zero = np.zeros(1, np.uint64)
    fixed = Streams(zero + np.uint64(task_seed), zero, SHARED, task.device).permutation(n_labels)
    draws = torch.stack([task.uniform(1, substream=BIAS + offset) for offset in offsets], dim=1)
    return torch.where(draws < bias, fixed, own)


def apply_permutations(permutation: torch.Tensor, number: torch.Tensor, segments: Sequence[slice]) -> torch.Tensor:
    """Return (B, N) labels of the class numbers (B, N), under ρ (B, S, M) of the segment of each example."""
    if permutation.shape[1] == 1:
        return permutation[:, 0].gather(1, number)
    n_classes = permutation.shape[2]
    segment = torch.cat([torch.full((s.stop - s.start,), i, device="cpu") for i, s in enumerate(segments)])
    return permutation.flatten(1).gather(1, segment.to(number.device) * n_classes + number)


def add_label_noise(y: torch.Tensor, n_classes: int, probability: float, episode: Streams) -> torch.Tensor:
    """Return the labels (B, N), each replaced with a probability by one of the K − 1 others."""
    length = y.shape[1]
    other = (y + 1 + episode.below(n_classes - 1, length, substream=NOISE)) % n_classes
    return torch.where(episode.uniform(length, substream=IS_NOISY) < probability, other, y)


def add_noise_among(number: torch.Tensor, active: torch.Tensor, probability: float, episode: Streams) -> torch.Tensor:
    """Return the class numbers (B, N), each replaced with a probability by another of the active ones (B, M)."""
    length, count = number.shape[1], active.sum(1, keepdim=True)
    rank = (active.cumsum(1) - 1).gather(1, number)
    other = (rank + 1 + episode.below(count - 1, length, substream=NOISE)) % count
    is_noisy = episode.uniform(length, substream=IS_NOISY) < probability
    return torch.where(is_noisy, active_numbers(active).gather(1, other), number)
