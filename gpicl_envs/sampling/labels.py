"""Which label each example of an episode gets: ρ, its drift, its bias, and noise."""

from dataclasses import dataclass

import numpy as np
import torch

from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.substreams import BIAS, IS_NOISY, LABELS, NOISE, SEGMENT_SUBSTREAMS, SHARED


@dataclass(frozen=True)
class Labelling:
    """How class numbers become labels; the arguments are those of `TaskDistribution`.

    Args:
        n_classes: K.
        permute_labels: whether ρ is random.
        permutation_bias: probability of the one fixed ρ.
        label_noise: probability that a label is replaced by another one.
        segments: runs of examples with a ρ of their own.
        task_seed: seed of the fixed ρ.
    """

    n_classes: int
    permute_labels: bool
    permutation_bias: float
    label_noise: float
    segments: tuple[slice, ...]
    task_seed: int

    def permutations(self, streams: Streams) -> torch.Tensor:
        """(B, S, K) ρ of each segment."""
        if not self.permute_labels:
            return torch.arange(self.n_classes, device=streams.device).expand(len(streams), 1, -1)
        offsets = range(0, len(self.segments) * SEGMENT_SUBSTREAMS, SEGMENT_SUBSTREAMS)
        own = torch.stack([streams.permutation(self.n_classes, substream=LABELS + offset) for offset in offsets], dim=1)
        if self.permutation_bias == 0:
            return own
        zero = np.zeros(1, np.uint64)
        shared = Streams(zero + np.uint64(self.task_seed), zero, SHARED, streams.device)
        draws = torch.stack([streams.uniform(1, substream=BIAS + offset) for offset in offsets], dim=1)
        return torch.where(draws < self.permutation_bias, shared.permutation(self.n_classes), own)

    def labels(self, permutation: torch.Tensor, number: torch.Tensor, episode: Streams) -> torch.Tensor:
        """(B, N) labels of the class numbers (B, N), under ρ (B, S, K) of the segment of each."""
        if permutation.shape[1] == 1:
            y = permutation[:, 0].gather(1, number)
        else:
            segment = torch.cat([torch.full((s.stop - s.start,), i) for i, s in enumerate(self.segments)])
            y = permutation.flatten(1).gather(1, segment.to(number.device) * self.n_classes + number)
        if self.label_noise == 0:
            return y
        length = number.shape[1]
        other = (y + 1 + episode.below(self.n_classes - 1, length, substream=NOISE)) % self.n_classes
        return torch.where(episode.uniform(length, substream=IS_NOISY) < self.label_noise, other, y)
