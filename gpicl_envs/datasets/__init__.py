"""Base datasets as arrays.

`load_dataset("MNIST")` returns a `Dataset`; `DATASETS` is the registry from which environment ids, documentation,
tests and sweeps derive. A new dataset is one loader function and one line of facts in its module's `SPECS`; for what
torchvision reads, one line in `vision.py`.
"""

from gpicl_envs.datasets import arrays, embedded, synthetic, vision
from gpicl_envs.datasets.base import ARRAY_ID, DATASETS, DatasetSpec, find_dataset, load_dataset, register_dataset
from gpicl_envs.datasets.dataset import Dataset

__all__ = ["ARRAY_ID", "DATASETS", "Dataset", "DatasetSpec", "find_dataset", "load_dataset", "register_dataset"]

for _spec in (*embedded.SPECS, *synthetic.SPECS, *vision.SPECS, arrays.SPEC):
    register_dataset(_spec)
