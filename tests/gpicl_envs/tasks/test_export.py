"""Episodes in files come back as they were, by the reader in the documentation and by other packages' loaders."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gpicl_envs
from gpicl_envs import TableDistribution, TaskDistribution
from gpicl_envs.tasks import make_tasks
from gpicl_envs.tasks.export import write_episodes

HAS_H5PY = importlib.util.find_spec("h5py") is not None
ENDINGS = ["safetensors", pytest.param("h5", marks=pytest.mark.skipif(not HAS_H5PY, reason="needs the extra export"))]
PAGE = Path(__file__).parents[3] / "docs" / "environments.md"
KINDS = [
    {"dataset": "Digits", "n_tasks": 5},
    {"prior": "SyntheticTables"},
    {"prior": "SyntheticTables", "n_classes": 1},
    {"function": "LinearRegression", "noise": 0.5},
    {"mixture": [{"dataset": "Digits"}, {"prior": "SyntheticTables"}]},
]


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """By the function that the page shows."""
    (block,) = (
        b for b in re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL) if "read_episodes" in b
    )
    names: dict[str, Any] = {}
    exec(block, names)
    return names["read_episodes"](str(path))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("arguments", KINDS, ids=str)
def test_what_is_written_is_read(arguments: dict[str, Any], ending: str, tmp_path: Path):
    tasks = make_tasks(**arguments, length=9, n_features=12)
    path = tmp_path / "new" / f"episodes.{ending}"
    write_episodes(tasks, path, 11, seed=3, batch_size=4)
    arrays, facts = read(path)
    expected = tasks.sample(11, seed=3)
    assert arrays["X"].dtype == np.float32 and np.allclose(arrays["X"], expected.x, atol=1e-4)
    assert arrays["y"].dtype == np.float32 and np.allclose(arrays["y"], expected.y, atol=1e-4)
    assert np.array_equal(arrays["task_id"], expected.task_id)
    for name, value in {"num_datapoints": 9, "num_features": 12, "single_eval_pos": 4}.items():
        assert arrays[name].tolist() == [value] * 11
    assert tasks.is_regression == ("max_num_classes" not in arrays)
    assert tasks.is_regression or arrays["max_num_classes"].tolist() == [10]
    again = make_tasks(**facts["arguments"])
    assert torch.equal(again.sample(11, seed=facts["seed"]).y, expected.y)
    assert facts["fingerprint"] == tasks.fingerprint and facts["version"] == gpicl_envs.__version__
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.skipif(not HAS_H5PY, reason="needs the extra export")
def test_the_loader_of_nano_tab_pfn_reads_it(tmp_path: Path):
    """What it reads of each batch (automl/nanoTabPFN, train.py; automl/TFM-Playground, priors/dataloader.py)."""
    import h5py

    tasks = TableDistribution(length=20, n_features=15)
    path = tmp_path / "dump.h5"
    write_episodes(tasks, path, 10, context=14, batch_size=4)
    with h5py.File(path, "r") as file:
        assert int(file["max_num_classes"][0]) == 10
        assert file["problem_type"][()].decode("utf-8") == "classification"
        assert file["original_batch_size"][0] == 4
        features, points = file["num_features"][4:8].max(), int(file["num_datapoints"][4:8].max())
        x = torch.from_numpy(file["X"][4:8, :points, :features])
        y = torch.from_numpy(file["y"][4:8, :points])
        split = file["single_eval_pos"][4:8][0].item()
    expected = tasks.sample(4, first=4)
    assert split == 14 and x.dtype == y.dtype == torch.float32
    assert torch.allclose(x, expected.x, atol=1e-4) and torch.equal(y.long(), expected.y)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("episodes.csv", {}, "ending '.csv': give a name that ends in .h5 or .safetensors"),
        ("there.safetensors", {}, "exists already"),
        ("new.safetensors", {"episodes": 0}, "episodes=0"),
        ("new.safetensors", {"context": 30}, "context=30.*29"),
        ("new.safetensors", {"batch_size": 0}, "batch_size=0"),
        ("new.safetensors", {"seed": -1}, "seed=-1"),
    ],
)
def test_bad_requests_write_nothing(name: str, arguments: dict[str, Any], message: str, tmp_path: Path):
    (tmp_path / "there.safetensors").write_text("mine")
    tasks = TaskDistribution("Digits", length=30, n_features=8)
    with pytest.raises(ValueError, match=message):
        write_episodes(tasks, tmp_path / name, **({"episodes": 3} | arguments))
    assert [path.name for path in tmp_path.iterdir()] == ["there.safetensors"]
    assert (tmp_path / "there.safetensors").read_text() == "mine"


def test_without_h5py_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(ValueError, match=r"pip install 'gpicl-envs\[export\]', or give a name in .safetensors"):
        write_episodes(TaskDistribution("Digits", length=5), tmp_path / "a.h5", 2)
    assert list(tmp_path.iterdir()) == []


def test_facts_are_json(tmp_path: Path):
    from safetensors import safe_open

    write_episodes(TableDistribution(length=5, active_classes=(2, 3)), tmp_path / "a.safetensors", 2)
    with safe_open(tmp_path / "a.safetensors", "np") as file:
        facts = json.loads(file.metadata()["gpicl"])
    assert facts["env"] == "GPICL-SyntheticTables-v0" and facts["arguments"]["active_classes"] == [2, 3]
