import json
import pickle
from pathlib import Path

import gymnasium
import pytest
import torch

from gpicl_agents.checkpoint import latest_checkpoint, load_learner, load_trainer, save_checkpoint
from gpicl_agents.train import TrainConfig, train
from gpicl_agents.transformer import Transformer
from gpicl_envs.datasets import DATASETS
from gpicl_envs.evaluation import evaluate
from gpicl_envs.learner import make_learner
from gpicl_envs.tasks import TaskDistribution


class Unregistered(Transformer):
    """A model of somebody's own."""


@pytest.fixture
def learner() -> Transformer:
    return Transformer(20, 4, width=8, n_heads=1, input_rank=8, seed=5)


@pytest.fixture
def checkpoint(learner: Transformer, tmp_path: Path) -> Path:
    return save_checkpoint(tmp_path, learner, {"step": 3}, {})


def test_a_checkpoint_brings_back_the_same_learner(learner: Transformer, checkpoint: Path, tmp_path: Path):
    for folder in (checkpoint, tmp_path):
        again = make_learner(str(folder))
        assert again.get_params() == learner.get_params() and not again.training
        assert all(torch.equal(a, b) for a, b in zip(again.parameters(), learner.parameters(), strict=True))


@pytest.fixture(scope="module")
def trained_on_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    agent = Transformer(width=16, n_heads=2, input_rank=16)
    venv = gymnasium.make_vec("GPICL-Digits-v0", num_envs=4)
    train(agent, venv, TrainConfig(steps=2, warmup_steps=1, evaluate_every=0), folder=folder)
    return folder


@pytest.mark.parametrize("name", DATASETS)
def test_a_checkpoint_trained_on_one_id_evaluates_on_every_other(trained_on_digits: Path, name: str):
    curve = evaluate(make_learner(str(trained_on_digits)), TaskDistribution(name, split="test"), episodes=2)
    assert curve.correct.shape == (2, 100) and curve.env_id == f"GPICL-{name}-v0"


def test_the_newest_two_are_kept(learner: Transformer, tmp_path: Path):
    for step in (1, 5, 40):
        save_checkpoint(tmp_path, learner, {"step": step}, {})
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-00000005", "step-00000040"]
    assert latest_checkpoint(tmp_path).name == "step-00000040"


def test_a_half_written_checkpoint_is_not_taken(learner: Transformer, checkpoint: Path, tmp_path: Path):
    partial = checkpoint.with_name("step-00000009.partial")
    partial.mkdir()
    (partial / "config.json").write_text("{}")
    assert latest_checkpoint(tmp_path) == checkpoint
    save_checkpoint(tmp_path, learner, {"step": 9}, {})
    assert latest_checkpoint(tmp_path).name == "step-00000009" and not partial.exists()


def damage(checkpoint: Path, how: str) -> None:
    model, config = checkpoint / "model.safetensors", checkpoint / "config.json"
    values = json.loads(config.read_text())
    if how == "truncated":
        model.write_bytes(model.read_bytes()[:-100])
    elif how == "empty":
        model.write_bytes(b"")
    elif how == "missing":
        model.unlink()
    elif how == "pickle":
        model.write_bytes(pickle.dumps({"weights": 1}))
    elif how == "no json":
        config.write_text("{")
    elif how == "format":
        config.write_text(json.dumps(values | {"format": "gpicl-checkpoint-9"}))
    elif how == "shape":
        config.write_text(json.dumps(values | {"arguments": values["arguments"] | {"width": 16}}))
    elif how == "argument":
        config.write_text(json.dumps(values | {"arguments": values["arguments"] | {"depth": 16}}))
    elif how == "learner":
        config.write_text(json.dumps(values | {"learner": "os:system"}))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("truncated", r"model\.safetensors is truncated"),
        ("empty", r"model\.safetensors is truncated"),
        ("missing", r"lacks .*model\.safetensors"),
        ("pickle", r"model\.safetensors is truncated or not a safetensors file"),
        ("no json", r"config\.json is not JSON"),
        ("format", r"config\.json has the format 'gpicl-checkpoint-9'"),
        ("shape", r"model\.safetensors holds weights of another model"),
        ("argument", "Transformer got an unexpected keyword argument 'depth'"),
        ("learner", "Unknown learner in a checkpoint 'os:system'"),
    ],
)
def test_a_damaged_checkpoint_is_refused_by_file(checkpoint: Path, how: str, message: str):
    damage(checkpoint, how)
    with pytest.raises(ValueError, match=message):
        load_learner(checkpoint)


def test_no_class_is_imported_because_a_file_says_so(tmp_path: Path):
    folder = save_checkpoint(tmp_path, Unregistered(20, 4, width=8, n_heads=1, input_rank=8), {"step": 1}, {})
    target = f"{Unregistered.__module__}:Unregistered"
    assert json.loads((folder / "config.json").read_text())["learner"] == target
    with pytest.raises(ValueError, match="if you trust that code, say so"):
        load_learner(folder)


def test_a_class_named_by_the_user_is_taken(checkpoint: Path):
    again = make_learner(f"gpicl_agents.transformer:Transformer@{checkpoint}")
    assert isinstance(again, Transformer)
    assert isinstance(make_learner(f"transformer@{checkpoint}"), Transformer)


def test_the_trainer_part_runs_no_code(checkpoint: Path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("code from a data file was run",))

    (checkpoint / "trainer.pt").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match=r"trainer\.pt cannot be read"):
        load_trainer(checkpoint)


def test_an_empty_folder_holds_no_checkpoint(tmp_path: Path):
    with pytest.raises(ValueError, match="holds no checkpoint"):
        load_learner(tmp_path)
