"""Real datasets that need no download: MNIST (a file of this package) and Digits (a file of scikit-learn)."""

import hashlib
import io
from importlib.resources import files

import numpy as np

from gpicl_envs.datasets.dataset import Dataset, DatasetSpec
from gpicl_envs.errors import DamagedDataError

MNIST_SHA256 = "094b831e432331f1f6d6829ab9bfff4551410a81e1f816c9cce482d3e9b3ba57"
DIGITS_TEST_EXAMPLES = 797


def load_mnist() -> Dataset:
    """MNIST (LeCun, Cortes and Burges), all 70,000 images. Attribution and licence: the file NOTICE."""
    path = files("gpicl_envs.datasets") / "data" / "mnist.npz"
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != MNIST_SHA256:
        raise DamagedDataError(
            f"{path} is damaged: its sha256 is {digest}, expected {MNIST_SHA256}. "
            "Reinstall with `pip install --force-reinstall --no-deps gpicl-envs`."
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        x = {split: arrays[f"x_{split}"] for split in ("train", "test")}
        y = {split: arrays[f"y_{split}"].astype(np.int64) for split in ("train", "test")}
    return Dataset("MNIST", x, y, n_classes=10)


def load_digits() -> Dataset:
    """Optical recognition of handwritten digits (Alpaydin and Kaynak, UCI 1998): 8×8 images with values 0 … 16.

    The first 1,000 examples are the train split and the last 797, by other writers, the test split.
    """
    from sklearn.datasets import load_digits as load_from_sklearn

    bunch = load_from_sklearn()
    cut = len(bunch.images) - DIGITS_TEST_EXAMPLES
    images, labels = bunch.images.astype(np.uint8), bunch.target.astype(np.int64)
    return Dataset(
        "Digits",
        x={"train": images[:cut], "test": images[cut:]},
        y={"train": labels[:cut], "test": labels[cut:]},
        n_classes=10,
    )


SPECS = (
    DatasetSpec(
        "MNIST",
        load_mnist,
        "70,000 handwritten digits, 28×28 (in the package)",
        source="yann.lecun.org/exdb/mnist",
        licence="CC BY-SA 3.0",
        shape=(28, 28),
        n_classes=10,
        n_train=60_000,
        n_test=10_000,
    ),
    DatasetSpec(
        "Digits",
        load_digits,
        "1,797 handwritten digits, 8×8 (with scikit-learn)",
        source="scikit-learn, UCI ML repository",
        licence="CC BY 4.0",
        shape=(8, 8),
        n_classes=10,
        n_train=1_000,
        n_test=DIGITS_TEST_EXAMPLES,
    ),
)
