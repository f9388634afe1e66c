"""Computed datasets: Random (can only be memorised) and Clusters (of known best accuracy)."""

from functools import lru_cache

import numpy as np

from gpicl_envs.datasets.dataset import SPLITS, Dataset, DatasetSpec
from gpicl_envs.errors import check_integer, check_positive

N_CLASSES = 10
RANDOM_ITEMS = 20
CLUSTER_INPUTS = 64
CLUSTER_DISTANCE = 4.0
MAX_CLUSTERS = 2048  # of as many inputs: half a gigabyte
CLUSTER_EXAMPLES = {"train": 20_000, "test": 10_000}


def load_random() -> Dataset:
    """20 Gaussian 28×28 images with random labels, drawn with replacement: pure memory reaches 100 % in the end.

    The memorisation test of VSML's public code (see PAPER.md). The test split is 20 other items.
    """
    generator = np.random.Generator(np.random.Philox(20))
    x = {split: generator.standard_normal((RANDOM_ITEMS, 28, 28), dtype=np.float32) for split in SPLITS}
    y = {split: generator.integers(N_CLASSES, size=RANDOM_ITEMS) for split in SPLITS}
    return Dataset("Random", x, y, n_classes=N_CLASSES, with_replacement=True)


def load_clusters() -> Dataset:
    """Ten unit Gaussians in 64 dimensions with orthogonal means of length 4: x = 4 e_y + z, z ~ N(0, I)."""
    generator = np.random.Generator(np.random.Philox(64))
    x, y = {}, {}
    for split, count in CLUSTER_EXAMPLES.items():
        y[split] = generator.integers(N_CLASSES, size=count)
        x[split] = generator.standard_normal((count, CLUSTER_INPUTS), dtype=np.float32)
        x[split][np.arange(count), y[split]] += CLUSTER_DISTANCE
    bayes = bayes_accuracy(CLUSTER_DISTANCE, N_CLASSES)
    return Dataset("Clusters", x, y, n_classes=N_CLASSES, bayes_accuracy=bayes)


def check_clusters(n_clusters: int, within_class_noise: float) -> tuple[int, float]:
    """Return both; ValueError if one is out of range."""
    number = check_integer("n_clusters", n_clusters, 2, MAX_CLUSTERS)
    return number, check_positive("within_class_noise", within_class_noise)


def shaped_clusters(spec: DatasetSpec | None, name: str, n_clusters: int, within_class_noise: float) -> Dataset | None:
    """Return Clusters of another number or noise; None if both are those of the dataset Clusters itself.

    Raises ValueError if these are asked for, but the dataset is another.
    """
    if (n_clusters, within_class_noise) == (N_CLASSES, 1.0):
        return None
    if spec is None or spec.load is not load_clusters:
        raise ValueError(
            f"n_clusters={n_clusters} and within_class_noise={within_class_noise} shape the dataset Clusters, not "
            f"{name}: leave them out, or give dataset='Clusters'."
        )
    return many_clusters(n_clusters, within_class_noise)


@lru_cache(maxsize=2)  # of up to half a gigabyte
def many_clusters(n_clusters: int, within_class_noise: float) -> Dataset:
    """Gaussians with orthogonal means of length 4, as many of each in a split: x = 4 e_y + σ z, z ~ N(0, I).

    Args:
        n_clusters: C; x has C coordinates, and 64 at least.
        within_class_noise: σ; Reddy's ε, the length of the noise relative to that of the mean, is σ √N_x / 4.
    """
    generator = np.random.Generator(np.random.Philox([65, n_clusters]))
    x, y = {}, {}
    for split, least in (("train", 20), ("test", 10)):
        count = max(CLUSTER_EXAMPLES[split] // n_clusters, least) * n_clusters
        y[split] = generator.permutation(count) % n_clusters
        noise = generator.standard_normal((count, max(CLUSTER_INPUTS, n_clusters)), dtype=np.float32)
        x[split] = np.float32(within_class_noise) * noise
        x[split][np.arange(count), y[split]] += CLUSTER_DISTANCE
    bayes = bayes_accuracy(CLUSTER_DISTANCE / within_class_noise, n_clusters)
    return Dataset("Clusters", x, y, n_classes=n_clusters, bayes_accuracy=bayes)


def bayes_accuracy(distance: float, n_classes: int) -> float:
    """Accuracy of the Bayes rule for equally likely unit Gaussians at `distance · e_k`: pick the largest coordinate.

    The coordinate of the true class, distance + z, must exceed K − 1 independent standard normals:
    ∫ φ(z − distance) Φ(z)^(K−1) dz, computed to within 1e-8.
    """
    from scipy.integrate import quad  # half a second that listing datasets need not take
    from scipy.special import ndtr

    def wins(z: float) -> float:
        return float(np.exp(-((z - distance) ** 2) / 2) / (2 * np.pi) ** 0.5 * ndtr(z) ** (n_classes - 1))

    return quad(wins, distance - 10, distance + 10)[0]


SPECS = (
    DatasetSpec(
        "Random",
        load_random,
        "20 Gaussian vectors with random labels: memorisation",
        source="synthetic",
        shape=(28, 28),
        n_classes=N_CLASSES,
        n_train=RANDOM_ITEMS,
        n_test=RANDOM_ITEMS,
        kept="computed",
    ),
    DatasetSpec(
        "Clusters",
        load_clusters,
        "10 Gaussian clusters of known Bayes accuracy",
        source="synthetic",
        shape=(CLUSTER_INPUTS,),
        n_classes=N_CLASSES,
        n_train=CLUSTER_EXAMPLES["train"],
        n_test=CLUSTER_EXAMPLES["test"],
        kept="computed",
    ),
)
