"""Base datasets as arrays.

`load_dataset("MNIST")` returns a `Dataset`; `DATASETS` is the registry from which environment ids, documentation,
tests and sweeps derive. A new dataset is one loader function and one line of facts in its module's `SPECS`; for what
torchvision reads, one line in `torchvision.py`.
"""

from gpicl_envs.datasets import builtin, synthetic, torchvision, user
from gpicl_envs.datasets.dataset import Dataset, DatasetSpec
from gpicl_envs.datasets.registry import ARRAY_ID, DATASETS, find_dataset, load_dataset, register_dataset

__all__ = ["ARRAY_ID", "DATASETS", "Dataset", "DatasetSpec", "find_dataset", "load_dataset", "register_dataset"]

for _spec in (*builtin.SPECS, *synthetic.SPECS, *torchvision.SPECS, user.SPEC):
    register_dataset(_spec)
