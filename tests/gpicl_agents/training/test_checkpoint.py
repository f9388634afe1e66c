import json
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import gymnasium
import pytest
import torch
from safetensors.torch import load_file, save_file

from gpicl_agents.models.transformer import Transformer
from gpicl_agents.training.checkpoint import (
    latest_checkpoint,
    load_learner,
    load_weights,
    save_checkpoint,
)
from gpicl_agents.training.supervised import TrainConfig, train
from gpicl_envs.datasets import DATASETS
from gpicl_envs.datasets.cache import sha256_of
from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.classification import TaskDistribution


class Unregistered(Transformer):
    """A model of the user's own."""


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
    assert curve.scores.shape == (2, 100) and curve.env_id == f"GPICL-{name}-v0"


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


class Trap:
    """Fails the test if it is ever unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("code from a data file was run",))


def reseal(checkpoint: Path, **changes: object) -> None:
    """Change the config, and make its checksums right for the files as they are now, as an attacker would."""
    path = checkpoint / "config.json"
    config = json.loads(path.read_text()) | changes
    config["sha256"] = {file.name: sha256_of(file) for file in checkpoint.iterdir() if file != path}
    path.write_text(json.dumps(config))


def rewrite_weights(checkpoint: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    path = checkpoint / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    reseal(checkpoint)


def replace_arguments(checkpoint: Path, **arguments: object) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    reseal(checkpoint, arguments=config["arguments"] | arguments)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path, byte: int) -> None:
    data = bytearray(path.read_bytes())
    data[byte] ^= 4
    path.write_bytes(data)


BEFORE = "resume from the checkpoint before it"
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (lambda c: truncate(c / "model.safetensors"), rf"model\.safetensors is truncated.*{BEFORE}"),
    "empty": (lambda c: (c / "model.safetensors").write_bytes(b""), r"model\.safetensors is truncated"),
    "missing": (lambda c: (c / "model.safetensors").unlink(), r"model\.safetensors is missing"),
    "a bit of the header": (lambda c: flip(c / "model.safetensors", 20), r"model\.safetensors is .*damaged"),
    "a bit of the weights": (lambda c: flip(c / "model.safetensors", -20), r"model\.safetensors is .*damaged"),
    "a bit of the trainer": (lambda c: flip(c / "trainer.pt", 90), r"trainer\.pt is .*damaged"),
    "exchanged": (lambda c: shutil.copy(c / "trainer.pt", c / "model.safetensors"), r"model\.safetensors .*exchanged"),
    "resealed, truncated": (
        lambda c: (truncate(c / "model.safetensors"), reseal(c)),
        r"model\.safetensors is not a safetensors file",
    ),
    "resealed, a pickle": (
        lambda c: ((c / "model.safetensors").write_bytes(pickle.dumps(Trap())), reseal(c)),
        r"model\.safetensors is not a safetensors file",
    ),
    "resealed, torch.save": (
        lambda c: (torch.save({"weight": torch.zeros(3)}, c / "model.safetensors"), reseal(c)),
        r"model\.safetensors is not a safetensors file",
    ),
    "resealed, trainer with code": (
        lambda c: (torch.save({"step": Trap()}, c / "trainer.pt"), reseal(c)),
        r"trainer\.pt cannot be read as tensors and plain values",
    ),
    "resealed, trainer a pickle": (
        lambda c: ((c / "trainer.pt").write_bytes(pickle.dumps(Trap())), reseal(c)),
        r"trainer\.pt cannot be read as tensors and plain values",
    ),
    "resealed, trainer of another program": (
        lambda c: (torch.save([1, 2], c / "trainer.pt"), reseal(c)),
        r"trainer\.pt .* holds no step",
    ),
    "missing key": (
        lambda c: rewrite_weights(c, lambda tensors: tensors.pop("read_out.bias")),
        r"model\.safetensors holds weights of another model: .*Missing key.*read_out\.bias",
    ),
    "extra key": (
        lambda c: rewrite_weights(c, lambda tensors: tensors.update(extra=torch.zeros(2))),
        r"model\.safetensors holds weights of another model: .*Unexpected key.*extra",
    ),
    "wrong shape": (
        lambda c: rewrite_weights(c, lambda tensors: tensors.update({"read_out.bias": torch.zeros(5)})),
        r"model\.safetensors holds weights of another model: .*size mismatch for read_out\.bias",
    ),
    "NaN": (
        lambda c: rewrite_weights(c, lambda tensors: tensors["read_out.bias"].fill_(torch.nan)),
        r"model\.safetensors holds numbers that are not finite, in read_out\.bias",
    ),
    "infinite": (
        lambda c: rewrite_weights(c, lambda tensors: tensors["norm.weight"].fill_(torch.inf)),
        r"model\.safetensors holds numbers that are not finite, in norm\.weight",
    ),
    "no JSON": (lambda c: (c / "config.json").write_text("{"), r"config\.json is not JSON"),
    "JSON without end": (lambda c: (c / "config.json").write_text("[" * 10**5), r"config\.json is not JSON"),
    "no text": (lambda c: (c / "config.json").write_bytes(b"\xff\xfe\xfa"), r"config\.json is not JSON"),
    "a list": (lambda c: (c / "config.json").write_text("[1]"), r"config\.json has the format None"),
    "format": (
        lambda c: reseal(c, format="gpicl-checkpoint-9"),
        r"config\.json has the format 'gpicl-checkpoint-9'",
    ),
    "arguments no object": (
        lambda c: reseal(c, arguments=[1, 2]),
        r"config\.json is damaged: its arguments is \[1, 2\]",
    ),
    "learner no name": (lambda c: reseal(c, learner=["knn"]), r"config\.json is damaged: its learner is \['knn'\]"),
    "arguments of another size": (
        lambda c: replace_arguments(c, width=16),
        r"model\.safetensors holds weights of another model",
    ),
    "unknown argument": (
        lambda c: replace_arguments(c, depth=16),
        r"config\.json .*Transformer got an unexpected keyword argument 'depth'",
    ),
    "argument of another type": (lambda c: replace_arguments(c, width="8"), r"config\.json .*width='8' is not allowed"),
    "argument that breaks the constructor": (
        lambda c: replace_arguments(c, similarity_bias=[1]),
        r"config\.json has arguments that do not make a .*Transformer",
    ),
    "another agent": (lambda c: reseal(c, learner="knn"), r"config\.json has arguments that do not make a .*Neighbors"),
    "another agent that takes them": (
        lambda c: reseal(c, learner="knn", arguments={"n_features": 20, "n_classes": 4}),
        r"model\.safetensors holds weights, but .* takes none",
    ),
    "no learner of ours": (lambda c: reseal(c, learner="os:system"), "Unknown learner in a checkpoint 'os:system'"),
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_checkpoint_is_refused_by_file(checkpoint: Path, how: str):
    damage, message = DAMAGES[how]
    damage(checkpoint)
    with pytest.raises(ValueError, match=message):
        load_learner(checkpoint)


@pytest.mark.parametrize("name", ["weights.pkl", "model.pt", "pytorch_model.bin", "optimizer.pth", ".hidden", "more"])
def test_a_folder_with_a_foreign_file_is_not_read(checkpoint: Path, learner: Transformer, name: str):
    (checkpoint / name).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match=rf"{re.escape(name)} is not part of a checkpoint"):
        load_learner(checkpoint)
    with pytest.raises(ValueError, match="is not part of a checkpoint"):
        load_weights(checkpoint, learner)


def test_whatever_bit_of_the_header_flips_the_error_is_a_reason(checkpoint: Path):
    """With right checksums, so that the header itself is read: it loads, or it is refused; nothing else is raised."""
    path = checkpoint / "model.safetensors"
    whole, refused = path.read_bytes(), 0
    header = 8 + int.from_bytes(whole[:8], "little")
    for byte in range(0, header, 19):
        flip(path, byte)
        reseal(checkpoint)
        try:
            load_learner(checkpoint)
        except ValueError as error:
            assert "model.safetensors" in str(error)
            refused += 1
        path.write_bytes(whole)
    assert refused > 0.9 * len(range(0, header, 19))


def test_no_class_is_imported_because_a_file_says_so(tmp_path: Path):
    folder = save_checkpoint(tmp_path, Unregistered(20, 4, width=8, n_heads=1, input_rank=8), {"step": 1}, {})
    target = f"{Unregistered.__module__}:Unregistered"
    assert json.loads((folder / "config.json").read_text())["learner"] == target
    with pytest.raises(ValueError, match="if you trust that code, give"):
        load_learner(folder)


def test_a_class_named_by_the_user_is_taken(checkpoint: Path):
    again = make_learner(f"gpicl_agents.models.transformer:Transformer@{checkpoint}")
    assert isinstance(again, Transformer)
    assert isinstance(make_learner(f"transformer@{checkpoint}"), Transformer)


def test_an_empty_folder_holds_no_checkpoint(tmp_path: Path):
    with pytest.raises(ValueError, match="holds no checkpoint"):
        load_learner(tmp_path)


class Remembers(Transformer):
    """Has a state beside its weights."""

    def get_extra_state(self):
        return {"seen": (1, 2)}

    def set_extra_state(self, state):
        assert state == {"seen": (1, 2)}
        self.seen = state["seen"]


def test_an_extra_state_is_kept_and_a_damaged_one_refused(tmp_path: Path):
    folder = save_checkpoint(tmp_path, Remembers(20, 4, width=8, n_heads=1, input_rank=8), {"step": 1}, {})
    spec = f"{Remembers.__module__}:Remembers@{folder}"
    assert make_learner(spec).seen == (1, 2)
    flip(folder / "extra_state.pt", 90)
    with pytest.raises(ValueError, match="extra_state.pt is truncated, damaged or exchanged"):
        make_learner(spec)


@pytest.mark.parametrize("damage", ['{"__dict__": 3}', '{"__dict__": [[[], 1]]}', '{"__tuple__": 3}'])
def test_damaged_json_is_refused(checkpoint: Path, damage: str):
    (checkpoint / "config.json").write_text(damage)
    with pytest.raises(ValueError, match="config.json"):
        load_learner(checkpoint)
