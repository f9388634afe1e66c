"""Image datasets that torchvision knows: one entry of a table each. torchvision is imported when files are decoded.

A dataset is found in the data folder as `NAME.npz`, or else as the files that torchvision downloads, where torchvision
keeps them; CIFAR10, CIFAR100 and SVHN in any of their forms (`forms.py`), which need no torchvision. Files are
verified, decoded once, and then mapped from the cache of arrays.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpicl_envs.datasets import forms
from gpicl_envs.datasets import torchvision_formats as formats
from gpicl_envs.datasets.cache import Arrays, cached_arrays, content_digest, data_folder, md5_of
from gpicl_envs.datasets.dataset import SPLITS, Dataset, DatasetSpec, Location
from gpicl_envs.datasets.forms import Form, find_form, read_form
from gpicl_envs.datasets.npz import load_npz, read_npz
from gpicl_envs.datasets.torchvision_formats import Format, KnownFile
from gpicl_envs.datasets.user import find_npz
from gpicl_envs.datasets.validation import check_arrays
from gpicl_envs.errors import DamagedDataError, MissingDataError

# sha256 of x and y of whole splits: an .npz file with as many examples must have this content, and no other file may.
CONTENT = {
    "1f243a60b4b748a44c48b9a6f6907be2a08bee3e4e226f0e86fbde8e147b745a": ("FashionMNIST", "train"),
    "9a494dc49efeb996f4076c469b31cd058152067b1594ba6ab85dd739fce3775e": ("FashionMNIST", "test"),
    "d6fff84ee57a945a979acefb5a17d7f5c4854180675acc6d2480dd28299012af": ("KMNIST", "test"),
    "d18cfd466eb143ac1097fde604dba9eec4116885869d04cc648b510949f9e88c": ("MNIST", "train"),
    "a0863a96c44e5666edbb30c4071ee79ca0514c621e6349c5967fc78e7305c891": ("MNIST", "test"),
}


@dataclass(frozen=True)
class VisionFiles:
    """The files of one of torchvision's datasets, and the facts that they must match.

    Args:
        name: registered name.
        class_name: of torchvision's class.
        format: how that class keeps its files.
        names: paths of the files as they are downloaded, relative to the data folder.
        shape: of one image.
        n_classes: number of classes.
        counts: examples of the train and the test split.
        forms: in which the files may be instead, and by which they are read; without any, torchvision's class does.
    """

    name: str
    class_name: str
    format: Format
    names: tuple[str, ...]
    shape: tuple[int, ...]
    n_classes: int
    counts: tuple[int, int]
    forms: tuple[Form, ...] = ()

    def location(self) -> Location | None:
        """Return where NAME.npz is, or else the files of another form, or torchvision's; None if none exists."""
        npz = find_npz(self.name)
        if npz is not None:
            return npz.location()
        if self.forms:
            found = find_form(self.forms, self.name)
            return None if found is None else found[1]
        paths = tuple(data_folder() / name for name in self.names)
        return Location("torchvision", paths) if all(path.is_file() for path in paths) else None

    def load(self) -> Dataset:
        """Return the dataset, from its verified files or from the cache of what was decoded from the same files.

        Raises:
            MissingDataError: the files, or torchvision, are missing.
            DamagedDataError: a file is not what it should be.
        """
        location = self._require()
        if location.kind == "npz":
            return load_npz(location.paths[0], self.name, self.check)
        digests = [md5_of(path) for path in location.paths]
        source = f"{location.kind} {self.name} {' '.join(digests)}"
        arrays = cached_arrays(self.name, source, lambda: self._decode(location, digests)[0])
        return Dataset.from_arrays(self.name, arrays)

    def verify(self) -> bool:
        """Check the files again, past the cache; raises as `load` does. Return whether their checksums are known."""
        location = self._require()
        if location.kind == "npz":
            read_npz(location.paths[0], self.check)
            return False
        digests = [md5_of(path) for path in location.paths]
        if self.forms:
            return self._decode(location, digests)[1]
        self.check_files(location.paths, digests)
        return True

    def known(self) -> dict[str, KnownFile]:
        """Return what torchvision knows of the files, by file name."""
        return self.format.known(torchvision_class(self.class_name, self.name))

    def check_files(self, paths: Sequence[Path], digests: Sequence[str]) -> None:
        """Raise `DamagedDataError` for the first file whose md5 is not the one that torchvision lists."""
        known = self.known()
        for path, digest in zip(paths, digests, strict=True):
            if digest != known[path.name].md5:
                others = [name for name, file in known.items() if file.md5 == digest]
                swapped = f" It is the content of {others[0]}: files were swapped." if others else ""
                raise DamagedDataError(
                    f"{path} is damaged, cut short or another file: its md5 is {digest}, that of {self.name} is "
                    f"{known[path.name].md5}.{swapped} Run `gpicl data download {self.name}`, or put the right file "
                    "there."
                )

    def check(self, arrays: Arrays) -> None:
        """Raise ValueError unless the arrays match the facts; a split may have fewer examples."""
        for split, count in zip(SPLITS, self.counts, strict=True):
            if f"x_{split}" not in arrays:
                continue
            x, y = arrays[f"x_{split}"], arrays[f"y_{split}"]
            if x.shape[1:] != self.shape or x.dtype != "uint8":
                raise ValueError(
                    f"An input of {self.name} is uint8 of shape {self.shape}, given {x.dtype} of shape {x.shape[1:]}."
                )
            if len(x) > count:
                raise ValueError(f"The {split} split of {self.name} has {count} examples, given {len(x)}.")
            found = CONTENT.get(content_digest(x, y))
            if found is not None and found != (self.name, split):
                raise ValueError(f"x_{split} is not {self.name}'s {split} split, but {' '.join(found)}.")
            if found is None and len(x) == count and (self.name, split) in CONTENT.values():
                raise ValueError(
                    f"x_{split} and y_{split} have the size of {self.name}'s {split} split, but not its content."
                )
        n_classes = Dataset.from_arrays(self.name, arrays).n_classes
        if n_classes != self.n_classes:
            raise ValueError(f"{self.name} has {self.n_classes} classes, given {n_classes}.")

    def offline_help(self) -> str:
        """Return sentences on how to get the files without a network."""
        others = f" Also read there: {', '.join(form.example(self.name) for form in self.forms)}." if self.forms else ""
        return (
            f"Without a network, put {', '.join(self.names)} (what torchvision's {self.class_name} downloads) or "
            f"{self.name}.npz (x_train, y_train, x_test, y_test) into {data_folder()}; GPICL_DATA_DIR names another "
            f"data folder.{others}"
        )

    def _require(self) -> Location:
        location = self.location()
        if location is None:
            raise MissingDataError(
                f"{self.name} is not in the data folder {data_folder()}. To download it: `gpicl data download "
                f"{self.name}`. {self.offline_help()}"
            )
        return location

    def _decode(self, location: Location, digests: Sequence[str]) -> tuple[Arrays, bool]:
        """The arrays in the files, and whether the checksums of all files are known and right."""
        if self.forms:
            return self._read_form(location, digests)
        self.check_files(location.paths, digests)
        assert self.format.read is not None
        with tempfile.TemporaryDirectory(prefix="gpicl-") as scratch:
            cls = torchvision_class(self.class_name, self.name)
            arrays = check_arrays(self.name, self.format.read(cls, location.paths, Path(scratch)))
        self.check(arrays)
        return arrays, True

    def _read_form(self, location: Location, digests: Sequence[str]) -> tuple[Arrays, bool]:
        """The same for the files of a form, whose checksums need not be known: people write them again."""
        form = next(form for form in self.forms if form.kind == location.kind)
        found, inside = read_form(form, location.paths, self.name)
        verified = self._known_files(location.paths, digests) or self._known_files(
            [*map(Path, inside)], [*inside.values()]
        )
        try:
            arrays = check_arrays(self.name, found)
            self.check(arrays)
        except ValueError as error:
            raise DamagedDataError(f"{location.paths[0]} and what belongs to it are refused: {error}") from error
        return arrays, verified

    def _known_files(self, paths: Sequence[Path], digests: Sequence[str]) -> bool:
        """Whether all files are torchvision's; raises `DamagedDataError` if one is not, but others are."""
        try:
            known = self.known()
        except MissingDataError:
            return False
        listed = {file.md5 for file in known.values()}
        if not listed & set(digests):
            return False
        pairs = [(path, digest) for path, digest in zip(paths, digests, strict=True) if path.name in known]
        self.check_files(*zip(*pairs, strict=True))
        return len(pairs) == len(paths)


def torchvision_class(class_name: str, dataset: str) -> Any:
    """Return a class of torchvision.datasets; raises `MissingDataError` if torchvision cannot be imported."""
    try:
        import torchvision.datasets
    except (ImportError, OSError, RuntimeError) as error:  # RuntimeError: built for another version of torch
        raise MissingDataError(
            f"{dataset} is read through torchvision, which cannot be imported here ({error}): pip install "
            "'gpicl-envs[vision]', or install the torchvision that belongs to your version of torch."
        ) from error
    return getattr(torchvision.datasets, class_name)


def _spec(files: VisionFiles, description: str, source: str, licence: str, download_mb: float) -> DatasetSpec:
    facts = files.shape, files.n_classes, *files.counts
    return DatasetSpec(files.name, files.load, description, source, licence, *facts, download_mb, files=files)


def _under(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in names)


_MNIST = [f"{split}-{kind}-ubyte.gz" for split in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
_QMNIST = [f"qmnist-{split}-{kind}.gz" for split in SPLITS for kind in ("images-idx3-ubyte", "labels-idx2-int")]
_EMNIST = ("EMNIST/raw/gzip.zip",)
_NIST = "nist.gov/itl/products-and-services/emnist-dataset"
_TORONTO = "cs.toronto.edu/~kriz/cifar.html"
_STANFORD, _LAKE = "ufldl.stanford.edu/housenumbers", "github.com/brendenlake/omniglot"
_OMNIGLOT = _under("omniglot-py", "images_background.zip", "images_evaluation.zip")

# fmt: off
SPECS = (
    # VisionFiles(name, torchvision's class, format, files, shape, classes, (train, test)),
    # description, source, licence, megabytes
    _spec(VisionFiles("FashionMNIST", "FashionMNIST", formats.IDX, _under("FashionMNIST/raw", *_MNIST), (28, 28), 10,
                      (60_000, 10_000)),
          "70,000 pieces of clothing, 28×28", "github.com/zalandoresearch/fashion-mnist", "MIT", 31),
    _spec(VisionFiles("KMNIST", "KMNIST", formats.IDX, _under("KMNIST/raw", *_MNIST), (28, 28), 10, (60_000, 10_000)),
          "70,000 cursive Japanese characters, 28×28", "codh.rois.ac.jp/kmnist", "CC BY-SA 4.0", 21),
    _spec(VisionFiles("EMNISTLetters", "EMNIST", formats.EMNIST_LETTERS, _EMNIST, (28, 28), 26, (124_800, 20_800)),
          "145,600 handwritten letters, a … z as 0 … 25, 28×28", _NIST, "none stated", 562),
    _spec(VisionFiles("EMNISTBalanced", "EMNIST", formats.EMNIST_BALANCED, _EMNIST, (28, 28), 47, (112_800, 18_800)),
          "131,600 handwritten digits and letters in 47 classes, 28×28", _NIST, "none stated", 562),
    _spec(VisionFiles("QMNIST", "QMNIST", formats.QMNIST, _under("QMNIST/raw", *_QMNIST), (28, 28), 10,
                      (60_000, 60_000)),
          "MNIST rebuilt, with all its 60,000 test digits, 28×28", "github.com/facebookresearch/qmnist", "BSD", 20),
    _spec(VisionFiles("USPS", "USPS", formats.USPS, ("usps.bz2", "usps.t.bz2"), (16, 16), 10, (7_291, 2_007)),
          "9,298 handwritten digits from envelopes, 16×16", "csie.ntu.edu.tw/~cjlin/libsvmtools", "none stated", 8),
    _spec(VisionFiles("CIFAR10", "CIFAR10", formats.CIFAR, ("cifar-10-python.tar.gz",), (32, 32, 3), 10,
                      (50_000, 10_000), forms=forms.CIFAR10),
          "60,000 small photographs in 10 classes, 32×32×3", _TORONTO, "none stated", 171),
    _spec(VisionFiles("CIFAR100", "CIFAR100", formats.CIFAR, ("cifar-100-python.tar.gz",), (32, 32, 3), 100,
                      (50_000, 10_000), forms=forms.CIFAR100),
          "60,000 small photographs in 100 classes, 32×32×3", _TORONTO, "none stated", 169),
    _spec(VisionFiles("SVHN", "SVHN", formats.SVHN, ("train_32x32.mat", "test_32x32.mat"), (32, 32, 3), 10,
                      (73_257, 26_032), forms=forms.SVHN),
          "99,289 house numbers from street views, 32×32×3", _STANFORD, "non-commercial use", 246),
    _spec(VisionFiles("Omniglot", "Omniglot", formats.OMNIGLOT, _OMNIGLOT, (28, 28), 1_623, (19_280, 13_180)),
          "20 drawings each of 964 characters to train, 659 others to test, 28×28", _LAKE, "MIT", 16),
)
# fmt: on
