"""Base datasets as arrays, and the registry from which environment ids, documentation, tests and sweeps derive.

`load_dataset("MNIST")` returns a `Dataset`. A new one is a loader function and a `DatasetSpec` in a module's `SPECS`.
"""

from gpicl_envs.datasets import builtin, synthetic, torchvision, user
from gpicl_envs.datasets.dataset import Dataset, DatasetSpec
from gpicl_envs.datasets.registry import ARRAY_ID, DATASETS, find_dataset, load_dataset, register_spec

__all__ = ["ARRAY_ID", "DATASETS", "Dataset", "DatasetSpec", "find_dataset", "load_dataset", "register_spec"]

for _module in (builtin, synthetic, torchvision, user):
    for _spec in _module.SPECS:
        register_spec(_spec)
