"""Frames of pandas and polars, and Bunches of scikit-learn, become the datasets that their arrays would be."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.utils import Bunch

import gpicl_envs
from gpicl_envs.datasets import DATASETS, load_dataset
from gpicl_envs.datasets.frames import is_framed

pytestmark = pytest.mark.usefixtures("clean_registry")


@pytest.fixture
def pd() -> Any:
    return pytest.importorskip("pandas", reason="pandas is in the extra dev")


@pytest.fixture
def pl() -> Any:
    return pytest.importorskip("polars", reason="polars is in the extra dev")


def mixed(rows: int = 60) -> dict[str, list]:
    """Columns of a small table: a number, a whole number, a truth value, a text and the class."""
    return {
        "height": [0.5 * i for i in range(rows)],
        "count": [i % 7 for i in range(rows)],
        "is_new": [i % 2 == 0 for i in range(rows)],
        "colour": [("red", "blue", "green")[i % 3] for i in range(rows)],
        "kind": [("pear", "apple")[i // 30] for i in range(rows)],
    }


def assert_is_mixed(name: str) -> None:
    """Numbers, then one column a colour in alphabetical order; apple is 0 and pear is 1."""
    dataset, expected = load_dataset(name), mixed()
    x = dataset.x["train"]
    assert x.shape == (60, 6) and x.dtype == np.float32 and dataset.class_names == ("apple", "pear")
    assert np.array_equal(x[:, :3].T, [expected["height"], expected["count"], expected["is_new"]])
    colours = np.array(["blue", "green", "red"])
    assert np.array_equal(colours[x[:, 3:].argmax(1)], expected["colour"]) and np.array_equal(x[:, 3:].sum(1), [1] * 60)
    assert np.array_equal(np.array(dataset.class_names)[dataset.y["train"]], expected["kind"])


def test_a_frame_and_its_label_column_are_an_environment(pd):
    frame = pd.DataFrame(mixed()).astype({"colour": "category"})
    gpicl_envs.register_dataset("fruit", frame, label="kind")
    assert_is_mixed("fruit")
    env = gymnasium.make("GPICL-fruit-v0", length=8)
    check_env(env.unwrapped, skip_render_check=True)
    assert env.action_space.n == 2 and env.unwrapped.tasks.dataset.class_names == ("apple", "pear")
    assert DATASETS["fruit"].description == "columns given in Python"


@pytest.mark.parametrize("kind", ["category", "object", "str", "string"])
def test_labels_of_any_kind_of_text_and_a_series_beside_the_frame(pd, kind: str):
    frame = pd.DataFrame(mixed()).astype({"colour": "category"})
    gpicl_envs.register_dataset("fruit", frame.drop(columns="kind"), frame["kind"].astype(kind))
    assert_is_mixed("fruit")


def test_nullable_and_odd_numbers_are_numbers(pd):
    frame = pd.DataFrame(mixed()).astype({"colour": "category", "count": "Int64", "is_new": "boolean"})
    gpicl_envs.register_dataset("fruit", frame, label="kind")
    assert_is_mixed("fruit")


@pytest.mark.parametrize("kind", ["Categorical", "Enum"])
def test_polars(pl, kind: str):
    dtype = pl.Categorical if kind == "Categorical" else pl.Enum(["red", "green", "blue"])
    frame = pl.DataFrame(mixed()).with_columns(pl.col("colour").cast(dtype))
    gpicl_envs.register_dataset("fruit", frame, label="kind")
    assert_is_mixed("fruit")
    gpicl_envs.register_dataset("fruit2", frame.drop("kind"), frame["kind"])
    assert load_dataset("fruit2").fingerprint == load_dataset("fruit").fingerprint


@pytest.mark.parametrize("load", [load_iris, load_wine, load_digits])
def test_a_bunch_is_what_its_arrays_are(load, pd):
    arrays = load()
    gpicl_envs.register_dataset("arrays", arrays.data, arrays.target)
    for name, bunch in {"framed": load(as_frame=True), "plain": load()}.items():
        gpicl_envs.register_dataset(name, bunch)
        assert load_dataset(name).fingerprint == load_dataset("arrays").fingerprint
        assert load_dataset(name).class_names == tuple(map(str, arrays.target_names))
    whole = load(as_frame=True).frame
    gpicl_envs.register_dataset("whole", whole, label="target")
    assert load_dataset("whole").fingerprint == load_dataset("arrays").fingerprint
    a, b = (gymnasium.make(f"GPICL-{name}-v0", length=8).reset(seed=1)[0]["x"] for name in ("framed", "arrays"))
    assert np.array_equal(a, b)


def test_a_bunch_as_openml_sends_it(pd):
    """`fetch_openml(as_frame=True)`: categories as inputs and label, whose name stands in target_names."""
    frame = pd.DataFrame(mixed()).astype({"colour": "category", "kind": "category"})
    bunch = Bunch(data=frame.drop(columns="kind"), target=frame["kind"], frame=frame, target_names=["kind"])
    gpicl_envs.register_dataset("fruit", bunch)
    assert_is_mixed("fruit")
    gpicl_envs.register_dataset("colours", bunch, label="colour")
    assert load_dataset("colours").class_names == ("blue", "green", "red") and load_dataset("colours").shape == (5,)


def test_both_splits_have_the_same_columns_and_classes(pd):
    frame = pd.DataFrame(mixed()).astype({"colour": "category"})
    train, test = frame[frame.colour != "red"], frame[frame.colour != "blue"]
    gpicl_envs.register_dataset("fruit", train, x_test=test[list(frame)[::-1]], label="kind")
    dataset = load_dataset("fruit")
    assert dataset.shape == (6,) and dataset.x["train"][:, 5].max() == 0 and dataset.x["test"][:, 3].max() == 0
    assert np.array_equal(dataset.x["test"][:, 0], test["height"].astype(np.float32))
    assert gymnasium.make("GPICL-fruit-v0", split="test", length=8).reset(seed=0)[0]["y"].shape == (2,)
    with pytest.raises(
        ValueError, match="half has other columns in test, height, count, is_new, than height, count, is"
    ):
        gpicl_envs.register_dataset("half", train, x_test=test.drop(columns="colour"), label="kind")


def test_whole_numbers_with_gaps_are_classes_too(pd):
    frame = pd.DataFrame({"a": np.arange(40.0), "label": np.arange(40) % 4 * 10 - 5})
    gpicl_envs.register_dataset("gaps", frame, label="label")
    assert load_dataset("gaps").class_names == ("-5", "5", "15", "25")
    assert np.array_equal(load_dataset("gaps").y["train"], np.arange(40) % 4)


# -- What is refused ---------------------------------------------------------------------------------------------------

X = {"a": [1.0, 2.0, 3.0, 4.0], "b": [1, 2, 3, 5], "label": ["u", "v", "u", "v"]}


@pytest.mark.parametrize(
    ("columns", "arguments", "message"),
    [
        ({}, {}, "bad, train: give y or the name of the label column.*The columns are a, b, label"),
        ({}, {"label": "lable"}, "Unknown column of bad, train 'lable'. Did you mean 'label'"),
        ({}, {"label": "label", "y": [0, 1, 0, 1]}, "and not both"),
        ({"b": ["p", "q", "p", "q"]}, {"label": "label"}, r"Column 'b' .* holds texts .*astype\({name: 'category'}\)"),
        (
            {"a": [1.0, None, 2.0, None]},
            {"label": "label"},
            "Column 'a' of bad, train lacks 2 of 4 values.* row 1: fill",
        ),
        ({"label": ["u", None, "u", "v"]}, {"label": "label"}, "Column 'label' of bad, train lacks 1 of 4 values"),
        ({"label": [0.1, 0.2, 0.1, 0.2]}, {"label": "label"}, "labels of bad, train are numbers .* of type float64"),
        ({"label": ["u", "v", "w", "x"]}, {"label": "label"}, "4 different labels in 4 rows: give a column of classes"),
    ],
    ids=range(8),
)
def test_bad_frames_say_which_column(pd, columns: dict, arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        gpicl_envs.register_dataset("bad", pd.DataFrame(X | columns), **arguments)
    assert "bad" not in DATASETS


def test_missing_values_of_every_kind_are_found(pd, pl):
    for series in (pd.array([1, None, 2, 3], dtype="Int64"), pd.Categorical(["p", None, "p", "q"])):
        with pytest.raises(ValueError, match="Column 'b' of bad, train lacks 1 of 4 values, the first in row 1"):
            gpicl_envs.register_dataset("bad", pd.DataFrame(X | {"b": series}), label="label")
    for values in ([1, None, 2, 3], [1.0, float("nan"), 2.0, 3.0]):
        with pytest.raises(ValueError, match="Column 'b' of bad, train lacks 1 of 4 values, the first in row 1"):
            gpicl_envs.register_dataset("bad", pl.DataFrame(X | {"b": values}), label="label")


def test_too_many_categories_and_dates_and_twins_are_refused(pd):
    many = pd.DataFrame({"zip": pd.Categorical([f"{i:04d}" for i in range(600)]), "label": np.arange(600) % 2})
    with pytest.raises(ValueError, match="Column 'zip' of bad has 600 categories, more than 256"):
        gpicl_envs.register_dataset("bad", many, label="label")
    dated = pd.DataFrame(X | {"a": pd.date_range("2026-01-01", periods=4)})
    with pytest.raises(ValueError, match="Column 'a' of bad, train holds numbers or dates of type datetime64"):
        gpicl_envs.register_dataset("bad", dated, label="label")
    twins = pd.concat([pd.DataFrame(X), pd.DataFrame(X)], axis=1)
    with pytest.raises(ValueError, match="several columns of one name"):
        gpicl_envs.register_dataset("bad", twins, label="label")
    with pytest.raises(ValueError, match="labels of 2 columns: give one"):
        gpicl_envs.register_dataset("bad", pd.DataFrame(X)[["a"]], pd.DataFrame(X)[["b", "label"]])


def test_arrays_have_no_label_column():
    x, y = np.zeros((4, 2)), np.array([0, 1, 0, 1])
    assert not is_framed(x, y, None, [0, 1]) and is_framed({"train": x})
    with pytest.raises(ValueError, match="label='a' names a column, but mine has arrays: give the labels as y"):
        gpicl_envs.register_dataset("mine", x, y, label="a")
    with pytest.raises(ValueError, match="the spec of Digits and arrays"):
        gpicl_envs.register_dataset(DATASETS["Digits"], label="a")


def test_a_mapping_without_splits_is_explained():
    with pytest.raises(ValueError, match="has the splits a, b: give a mapping with train, test or both"):
        gpicl_envs.register_dataset("mine", {"a": np.zeros((4, 2)), "b": 3})
