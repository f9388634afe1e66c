"""The files of each of torchvision's families become arrays."""

from pathlib import Path

import numpy as np
import pytest
import vision_files
from vision_files import VISION

from gpicl_envs.datasets.torchvision_formats import area_average


@pytest.mark.parametrize("name", VISION)
def test_torchvisions_files_become_exactly_their_images_and_labels(name: str, own_data: Path, monkeypatch):
    small = vision_files.write(name, own_data, monkeypatch)
    for dataset in (small.files.load(), small.files.load()):  # decoded, then from the cache
        assert dataset.name == name and dataset.n_classes == small.files.n_classes
        for split, labels in small.y.items():
            assert np.array_equal(dataset.y[split], labels) and dataset.y[split].dtype == np.int64
            assert dataset.x[split].shape[1:] == small.files.shape and dataset.x[split].dtype == np.uint8
            if small.x:
                assert np.array_equal(dataset.x[split], small.x[split])


def test_omniglots_strokes_are_white_and_characters_are_numbered_in_the_order_of_their_names(own_data, monkeypatch):
    dataset = vision_files.write("Omniglot", own_data, monkeypatch).files.load()
    images = np.concatenate([dataset.x["train"], dataset.x["test"]])
    labels = np.concatenate([dataset.y["train"], dataset.y["test"]])
    for image, label in zip(images, labels, strict=True):  # 15 black rows of the file are 4 white rows here
        assert (image[: 4 * (label + 1)] == 255).all() and (image[4 * (label + 1) :] == 0).all()
    assert set(dataset.y["train"]).isdisjoint(dataset.y["test"])


def test_area_averages_count_pixels_in_part():
    image = np.zeros((105, 105), np.uint8)
    image[0] = 255
    assert (area_average(image, 28)[0] == round(255 / 3.75)).all() and (area_average(image, 28)[1:] == 0).all()
    image = np.random.default_rng(0).integers(256, size=(105, 105), dtype=np.uint8)
    assert area_average(image, 28).mean() == pytest.approx(image.mean(), abs=0.1)
    assert np.array_equal(
        area_average(image[:56, :56], 28), np.rint(image[:56, :56].reshape(28, 2, 28, 2).mean((1, 3)))
    )
