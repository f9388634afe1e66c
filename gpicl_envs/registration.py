"""Environment ids: one for each base dataset of the registry."""

import gymnasium

from gpicl_envs import datasets
from gpicl_envs.datasets import DATASETS, DatasetSpec
from gpicl_envs.datasets.arrays import array_spec


def register_dataset(
    dataset: str | DatasetSpec, x: object = None, y: object = None, x_test: object = None, y_test: object = None
) -> None:
    """Add a base dataset, and its environment `GPICL-{name}-v0`.

    `gymnasium.make("GPICL-Array-v0", dataset=name)` works too, and is the way where the name has characters that an id
    cannot have.

    Args:
        dataset: a new name for the arrays that follow, or a `DatasetSpec` alone. Names are compared without case, `_`
            and `-`.
        x: (M, ...) uint8 or finite floating-point inputs of the train split, a NumPy array or a torch tensor. They are
            copied: what is done to `x` afterwards does not reach the dataset.
        y: (M,) integer labels. Those of both splits together are exactly 0 … K − 1.
        x_test: (M', ...) inputs of the test split; by default there is none, and only `split="train"` exists.
        y_test: (M',) their labels.

    Raises:
        ValueError: the name is taken, or the arrays are not a dataset; the message says what was given.

    Example:
        >>> import gymnasium, gpicl_envs, numpy as np
        >>> x, y = np.random.default_rng(0).normal(size=(300, 5)), np.arange(300) % 3
        >>> gpicl_envs.register_dataset("three-blobs", x, y)
        >>> env = gymnasium.make("GPICL-Array-v0", dataset="three-blobs", n_classes=3)
    """
    if isinstance(dataset, DatasetSpec):
        if any(value is not None for value in (x, y, x_test, y_test)):
            raise ValueError(f"register_dataset got the spec of {dataset.name} and arrays: give a name and arrays.")
        spec = dataset
    else:
        spec = array_spec(dataset, x, y, x_test, y_test)
    datasets.register_dataset(spec)
    register_environments()


def register_environments() -> None:
    """Register `GPICL-{dataset}-v0` for every registered dataset that can have an id and has none yet."""
    for spec in DATASETS.values():
        if spec.has_env_id and spec.env_id not in gymnasium.registry:
            gymnasium.register(
                spec.env_id,
                entry_point="gpicl_envs.single_env:InContextEnv",
                vector_entry_point="gpicl_envs.vector_env:InContextVectorEnv",
                kwargs={"dataset": spec.name},
            )
