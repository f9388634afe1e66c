"""What tests of the baselines share: episodes, and what a learner knows at some of their positions."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize

from gpicl_envs.tasks.classification import TaskDistribution
from gpicl_envs.tasks.episodes import Episodes

POSITIONS = (12, 25, 39)
SMALL = {"n_features": 6, "n_classes": 3}


def mnist_episodes() -> Episodes:
    """Twelve episodes of 40 examples with 64 features."""
    return TaskDistribution("MNIST", split="test", length=40, n_features=64).sample(12, seed=1)


def contexts(
    episodes: Episodes, transform: Callable[[torch.Tensor], torch.Tensor] = lambda x: x
) -> Iterator[tuple[int, int, NDArray[Any], NDArray[Any], NDArray[Any]]]:
    """Yield (b, n, previous inputs, previous labels, current input) for each episode at each position."""
    x = transform(episodes.x).double().numpy()
    for b, y in enumerate(episodes.y.numpy()):
        for n in POSITIONS:
            yield b, n, x[b, :n], y[:n], x[b, n]


def smoothed_probabilities(model: Any, query: NDArray[Any], n: int) -> NDArray[Any]:
    """Probabilities of scikit-learn's model with one more example of each class."""
    probabilities = np.zeros(10)
    probabilities[model.classes_] = model.predict_proba(query[None])[0]
    return (n * probabilities + 1) / (n + 10)


def small_episodes(length: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """Two episodes of the sizes of `SMALL`: x (2, N, 6), y (2, N)."""
    generator = torch.Generator().manual_seed(3)
    return torch.randn(2, length, 6, generator=generator), torch.randint(3, (2, length), generator=generator)


def centred_features(x: torch.Tensor) -> torch.Tensor:
    """What gradient learners see of an episode (N, D): centred by the running mean, of norm 1."""
    means = x.cumsum(0) / torch.arange(2, len(x) + 2)[:, None]
    return normalize(x - means, dim=1)
