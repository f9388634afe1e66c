"""Checkpoints: folders of safetensors and JSON, written so that a kill at any moment leaves the last good one.

`step-00000400/` holds `model.safetensors`, `config.json` (which learner, with which arguments) and `trainer.pt`
(optimizer, step, seconds, RNG; read with `weights_only=True`). A run folder keeps its checkpoints under `checkpoints/`.
Nothing that a checkpoint says is imported or unpickled: its learner is looked up in the registry of this installation.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from gpicl_envs.errors import UnknownNameError, construct
from gpicl_envs.learner import Learner, find_class, learner_targets

FORMAT = "gpicl-checkpoint-1"
KEEP = 2
MODEL, CONFIG, TRAINER = "model.safetensors", "config.json", "trainer.pt"

Folder = str | os.PathLike[str]


def save_checkpoint(run: Folder, learner: Learner, trainer: dict[str, Any], training: dict[str, Any]) -> Path:
    """Write a checkpoint under a temporary name, sync it, and rename it into place; older ones beyond two are removed.

    Args:
        run: the run's folder.
        learner: a learner that is a `torch.nn.Module`.
        trainer: what training needs to go on; must hold `step`.
        training: what was trained on, and how.

    Returns:
        The checkpoint's folder.
    """
    folder = Path(run) / "checkpoints" / f"step-{trainer['step']:08d}"
    temporary = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    assert isinstance(learner, torch.nn.Module)
    save_file({name: value.clone().contiguous() for name, value in learner.state_dict().items()}, temporary / MODEL)
    config = {
        "format": FORMAT,
        "learner": _registered_name(learner),
        "arguments": learner.get_params(),
        "name": learner.name,
        "step": trainer["step"],
        "training": training,
    }
    (temporary / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    torch.save(trainer, temporary / TRAINER)
    for file in temporary.iterdir():
        _sync(file)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    _sync(folder.parent)
    for old in _complete(folder.parent)[:-KEEP]:
        shutil.rmtree(old)
    return folder


def latest_checkpoint(folder: Folder) -> Path | None:
    """Return the newest checkpoint of a run folder, the folder itself if it is a checkpoint, or None."""
    folder = Path(folder)
    if (folder / CONFIG).is_file():
        return folder
    checkpoints = _complete(folder / "checkpoints")
    return checkpoints[-1] if checkpoints else None


def load_learner(folder: Folder, *, learner: str | None = None) -> Learner:
    """Return the learner of a checkpoint or run folder, with its weights, ready to predict.

    Args:
        folder: a checkpoint, or a run folder (its newest checkpoint is taken).
        learner: the `module:Class` that was trained, where it is not a registered learner.

    Raises:
        ValueError: there is no checkpoint, or a file is missing, truncated or made for something else; the message
            names the file.
    """
    checkpoint = latest_checkpoint(folder)
    if checkpoint is None:
        raise ValueError(f"{folder} holds no checkpoint: neither {CONFIG} nor checkpoints/step-*/{CONFIG} is there.")
    config = read_config(checkpoint)
    made = construct(find_class(learner or _target(config["learner"], checkpoint)), config["arguments"])
    load_weights(checkpoint, made)
    return made.eval()


def load_weights(checkpoint: Path, learner: Learner) -> None:
    """Put the weights of a checkpoint into a learner of the same shape."""
    path = checkpoint / MODEL
    assert isinstance(learner, torch.nn.Module)
    try:
        learner.load_state_dict(load_file(path, device=str(learner.device)))
    except FileNotFoundError:
        raise ValueError(f"The checkpoint lacks {path}.") from None
    except SafetensorError as error:
        raise ValueError(
            f"{path} is truncated or not a safetensors file ({error}): delete {checkpoint} to use the one before."
        ) from None
    except RuntimeError as error:
        details = " ".join(str(error).split())
        raise ValueError(f"{path} holds weights of another model: {details}") from None


def load_trainer(checkpoint: Path) -> dict[str, Any]:
    """Return the trainer's part of a checkpoint; only tensors and plain values are read from it."""
    path = checkpoint / TRAINER
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except FileNotFoundError:
        raise ValueError(f"The checkpoint lacks {path}.") from None
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{path} cannot be read ({reason}): delete {checkpoint} to resume from the checkpoint before it."
        ) from None


def read_config(checkpoint: Path) -> dict[str, Any]:
    """Return the config of a checkpoint."""
    path = checkpoint / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}).") from None
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        given = config.get("format") if isinstance(config, dict) else None
        raise ValueError(f"{path} has the format {given!r}, but this version reads {FORMAT!r}.")
    if missing := sorted({"learner", "arguments", "training"} - config.keys()):
        raise ValueError(f"{path} lacks {', '.join(missing)}.")
    if not isinstance(config["arguments"], dict) or not isinstance(config["training"], dict):
        raise ValueError(f"{path} is damaged: its arguments and training must be objects.")
    return config


def _registered_name(learner: Learner) -> str:
    target = f"{type(learner).__module__}:{type(learner).__qualname__}"
    return next((name for name, known in learner_targets().items() if known == target), target)


def _target(name: str, checkpoint: Path) -> str:
    targets = learner_targets()
    if name not in targets:
        hint = f"{checkpoint} was trained from {name!r}: if you trust that code, say so as {name}@{checkpoint}."
        raise UnknownNameError("learner in a checkpoint", name, targets, hint)
    return targets[name]


def _complete(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob(f"step-*/{CONFIG}") if path.parent.suffix != ".partial")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
