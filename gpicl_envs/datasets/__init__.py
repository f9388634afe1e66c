"""Base datasets as arrays.

`load_dataset("MNIST")` returns a `Dataset`; `DATASETS` is the registry from which environment ids, documentation,
tests and sweeps derive. A new dataset is one loader function and one `register_dataset` line in this package.
"""

from gpicl_envs.datasets import embedded, synthetic
from gpicl_envs.datasets.base import DATASETS, Dataset, DatasetSpec, find_dataset, load_dataset, register_dataset

__all__ = ["DATASETS", "Dataset", "DatasetSpec", "find_dataset", "load_dataset", "register_dataset"]

register_dataset(DatasetSpec("MNIST", embedded.load_mnist, "70,000 handwritten digits, 28×28 (in the package)"))
register_dataset(DatasetSpec("Digits", embedded.load_digits, "1,797 handwritten digits, 8×8 (with scikit-learn)"))
register_dataset(DatasetSpec("Random", synthetic.load_random, "20 Gaussian vectors with random labels: memorisation"))
register_dataset(DatasetSpec("Clusters", synthetic.load_clusters, "10 Gaussian clusters of known Bayes accuracy"))
