"""Datasets of Hugging Face become the datasets that their arrays would be; nothing is downloaded."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_iris

import gpicl_envs
from gpicl_envs.datasets import DATASETS, load_dataset

datasets = pytest.importorskip("datasets", reason="the package datasets is in the extra dev")
pytestmark = pytest.mark.usefixtures("clean_registry")
IRIS, DIGITS = load_iris(), load_digits()
PIXELS = (DIGITS.images * 15).astype(np.uint8)


def of_images(pixels: np.ndarray, labels: np.ndarray, names: list[str], **columns: list) -> Any:
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=names)}
    features |= {name: datasets.Value("string") for name in columns}
    rows = {"image": [Image.fromarray(image) for image in pixels], "label": labels} | columns
    return datasets.Dataset.from_dict(rows, features=datasets.Features(features))


def test_images_are_the_arrays_that_they_were_made_of():
    names = [f"digit {i}" for i in range(10)]
    given = of_images(PIXELS, DIGITS.target, names, file=[f"{i}.png" for i in range(len(PIXELS))])
    gpicl_envs.register_dataset("hf", given)
    gpicl_envs.register_dataset("arrays", PIXELS, DIGITS.target)
    dataset = load_dataset("hf")
    assert dataset.fingerprint == load_dataset("arrays").fingerprint
    assert dataset.x["train"].dtype == np.uint8 and dataset.shape == (8, 8) and dataset.class_names == tuple(names)
    a, b = (gymnasium.make(f"GPICL-{name}-v0", length=8).reset(seed=1)[0]["x"] for name in ("hf", "arrays"))
    assert np.array_equal(a, b)
    assert gymnasium.make("GPICL-hf-v0", image_size=4).unwrapped.tasks.dataset.class_names == tuple(names)


def test_a_dataset_dict_has_its_train_and_test_splits(real_data: Path):
    if not (real_data / "fashion_mnist.npz").is_file():
        pytest.skip(f"no fashion_mnist.npz in {real_data}")
    with np.load(real_data / "fashion_mnist.npz") as file:
        arrays = {name: file[name][:400] for name in ("x_train", "y_train", "x_test", "y_test")}
    names = [str(i) for i in range(10)]
    splits = {split: of_images(arrays[f"x_{split}"], arrays[f"y_{split}"], names) for split in ("train", "test")}
    given = datasets.DatasetDict(splits | {"validation": splits["test"].select(range(5))})
    gpicl_envs.register_dataset("hf", given)
    gpicl_envs.register_dataset("apart", splits["train"], x_test=splits["test"], label="label")
    gpicl_envs.register_dataset("arrays", *arrays.values())
    prints = {load_dataset(name).fingerprint for name in ("hf", "apart", "arrays")}
    assert len(prints) == 1 and set(load_dataset("hf").x) == {"train", "test"}
    assert gymnasium.make_vec("GPICL-hf-v0", num_envs=2, split="test").single_action_space.n == 10


def test_colours_and_grey_images_together_become_colours():
    colour = np.stack([PIXELS[:20]] * 3, axis=-1)
    rows = [Image.fromarray(image) for image in (*colour[:10], *PIXELS[10:20])]
    features = datasets.Features({"photo": datasets.Image(), "kind": datasets.Value("string")})
    given = datasets.Dataset.from_dict({"photo": rows, "kind": ["b", "a"] * 10}, features=features)
    gpicl_envs.register_dataset("hf", given, label="kind")
    assert np.array_equal(load_dataset("hf").x["train"], colour) and load_dataset("hf").class_names == ("a", "b")
    assert load_dataset("hf").y["train"].tolist() == [1, 0] * 10


def test_columns_of_numbers_and_a_class_label_as_input():
    rows: dict[str, Any] = {name: column for name, column in zip("abcd", IRIS.data.T, strict=True)}
    rows["size"] = [i % 2 for i in range(150)]
    rows["species"] = [IRIS.target_names[i] for i in IRIS.target]
    features = {name: datasets.Value("float64") for name in "abcd"} | {"species": datasets.Value("string")}
    features["size"] = datasets.ClassLabel(names=["large", "small"])
    given = datasets.Dataset.from_dict(rows, features=datasets.Features(features))
    gpicl_envs.register_dataset("hf", given.shuffle(seed=0).sort("species"), label="species")
    dataset = load_dataset("hf")
    assert dataset.class_names == ("setosa", "versicolor", "virginica") and dataset.shape == (6,)
    assert sorted(map(tuple, dataset.x["train"][:, :4].tolist())) == sorted(
        map(tuple, IRIS.data.astype(np.float32).tolist())
    )
    assert np.array_equal(dataset.x["train"][:, 4:].sum(1), np.ones(150))
    assert dataset.y["train"].tolist() == sorted(IRIS.target)


def test_one_column_of_arrays():
    given = datasets.Dataset.from_dict({"x": IRIS.data.tolist(), "y": IRIS.target})
    gpicl_envs.register_dataset("hf", given.with_format("torch"), label="y")
    gpicl_envs.register_dataset("arrays", IRIS.data, IRIS.target)
    assert load_dataset("hf").fingerprint == load_dataset("arrays").fingerprint


def test_classes_that_no_row_has_are_left_out():
    given = of_images(PIXELS, DIGITS.target, list("abcdefghij")).filter(lambda row: row["label"] in (3, 7))
    gpicl_envs.register_dataset("hf", given)
    assert load_dataset("hf").class_names == ("d", "h") and gymnasium.make("GPICL-hf-v0").action_space.n == 2


# -- What is refused ---------------------------------------------------------------------------------------------------


def refused(given: Any, message: str, **arguments: Any) -> None:
    with pytest.raises(ValueError, match=message):
        gpicl_envs.register_dataset("bad", given, **arguments)
    assert "bad" not in DATASETS


def test_a_missing_or_doubtful_label_lists_the_columns():
    plain = datasets.Dataset.from_dict({"x": [1.0, 2.0], "y": [0, 1]})
    refused(plain, "bad, train has no column of type ClassLabel: give label=, one of its columns x, y")
    refused(plain, "Unknown column of bad, train 'z'. Valid: x, y", label="z")
    two = {name: datasets.ClassLabel(names=["u", "v"]) for name in ("fine", "coarse")}
    features = datasets.Features({"x": datasets.Value("float32")} | two)
    doubtful = datasets.Dataset.from_dict({"x": [1.0, 2.0], "fine": [0, 1], "coarse": [1, 0]}, features=features)
    refused(doubtful, "several columns of type ClassLabel, fine, coarse: give label=")


def test_images_that_do_not_fit_are_described():
    labels = np.arange(8) % 2
    given = of_images(PIXELS[:8], labels, ["a", "b"])
    twice = datasets.concatenate_datasets(
        [given, given.select_columns(["image"]).rename_column("image", "again")], axis=1
    )
    refused(twice, "bad, train has the image columns image, again: keep one")
    sizes = datasets.concatenate_datasets([given, of_images(np.zeros((8, 5, 6), np.uint8), labels, ["a", "b"])])
    refused(sizes, "modes L and sizes 6 × 5, 8 × 8: give one size")
    deep = [Image.fromarray(np.zeros((4, 4), np.uint16)) for _ in labels]
    features = given.features
    refused(
        datasets.Dataset.from_dict({"image": deep, "label": labels}, features=features), "modes I;16 and sizes 4 × 4"
    )
    gap = datasets.Dataset.from_dict({"image": [None, *given["image"][1:]], "label": labels}, features=features)
    refused(gap, "Column 'image' of bad, train lacks the image of row 0")


def test_other_columns_that_do_not_fit_are_named():
    rows: dict[str, Any] = {"x": [1.0, 2.0, 3.0, 4.0], "label": [0, 1, 0, 1]}
    make = datasets.Dataset.from_dict
    refused(
        make(rows | {"t": list("abcd")}),
        r"Column 't' .* holds string, .*leave it out \(remove_columns\)",
        label="label",
    )
    refused(make(rows | {"t": [[1], [2, 3], [4], [5]]}), "Column 't' of bad, train holds List", label="label")
    refused(make(rows | {"x": [1.0, None, 3.0, None]}), "Column 'x' .* lacks 2 of 4 values.* row 1", label="label")
    refused(make(rows | {"label": [0, None, 1, 0]}), "Column 'label' .* lacks 1 of 4 values", label="label")
    refused(make(rows | {"t": [[1, 2]] * 4}), "has the columns x, t, of which t hold arrays: keep one", label="label")
    refused(make({"label": [0, 1, 0, 1]}), "has no column beside the label", label="label")
    refused(make(rows).to_iterable_dataset(), r"is a stream: give rows", label="label")


def test_rows_without_a_label_are_refused():
    given = of_images(PIXELS[:6], np.array([0, 1, 0, 1, -1, -1]), ["a", "b"])
    refused(given, r"bad, train has 2 rows without a label \(−1\)")


def test_a_dataset_dict_without_train_or_test():
    given = datasets.DatasetDict({"validation": of_images(PIXELS[:6], np.arange(6) % 2, ["a", "b"])})
    refused(given, r"bad has the splits validation: .* x=splits\['validation'\]")
    gpicl_envs.register_dataset("one", given["validation"])
    assert len(load_dataset("one").y["train"]) == 6
