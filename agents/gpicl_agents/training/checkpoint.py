"""Checkpoints: folders of safetensors and JSON, written so that a kill at any moment leaves the last good one.

`step-00000400/` holds `model.safetensors`, `config.json` (the learner, its arguments, and the sha256 of the other
files) and `trainer.pt` (optimizer, step, seconds, random state; read with `weights_only=True`). A run folder keeps its
checkpoints under `checkpoints/`. Nothing named in a checkpoint is imported or unpickled: its learner is looked up in
the registry of this installation. A folder with any other file, or with a changed one, is refused; the error names it.
"""

import json
import math
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from gpicl_envs.datasets.cache import sha256_of
from gpicl_envs.errors import LONGEST, UnknownNameError, construct, shortened
from gpicl_envs.learners.base import Learner, no_more_parameters
from gpicl_envs.learners.registry import find_class, learner_targets

FORMAT = "gpicl-checkpoint-1"
KEEP = 2
MODEL, CONFIG, TRAINER, CARD = "model.safetensors", "config.json", "trainer.pt", "MODEL_CARD.md"
FILES = (MODEL, CONFIG, TRAINER, CARD)

Folder = str | os.PathLike[str]


def save_checkpoint(run: Folder, learner: Learner, trainer: dict[str, Any], training: dict[str, Any]) -> Path:
    """Write a checkpoint under a temporary name, sync it, and rename it into place; older ones beyond two are removed.

    Args:
        run: the run's folder.
        learner: a learner that is a `torch.nn.Module`.
        trainer: what training needs to continue; must hold `step`.
        training: what was trained on, and how.

    Returns:
        The checkpoint's folder.
    """
    assert isinstance(learner, torch.nn.Module)
    folder = Path(run) / "checkpoints" / f"step-{trainer['step']:08d}"
    for left_over in folder.parent.glob("*.partial"):  # of a run that was killed while writing or removing one
        shutil.rmtree(left_over)
    temporary = folder.with_name(f"{folder.name}.partial")
    temporary.mkdir(parents=True)
    save_file({name: value.clone().contiguous() for name, value in learner.state_dict().items()}, temporary / MODEL)
    torch.save(trainer, temporary / TRAINER)
    target = f"{type(learner).__module__}:{type(learner).__qualname__}"
    config = {
        "format": FORMAT,
        "learner": next((name for name, known in learner_targets().items() if known == target), target),
        "arguments": learner.get_params(),
        "name": learner.name,
        "step": trainer["step"],
        "training": training,
        "sha256": {name: sha256_of(temporary / name) for name in (MODEL, TRAINER)},
    }
    write_config(temporary, config)
    for path in (*temporary.iterdir(), temporary):
        _sync(path)
    if folder.exists():
        _remove(folder)
    temporary.rename(folder)
    _sync(folder.parent)
    for old in _complete(folder.parent)[:-KEEP]:
        _remove(old)
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
        learner: the `module:Class` that was trained, if it is not a registered learner.

    Raises:
        ValueError: there is no checkpoint, or one of its files is missing, truncated, changed, of another model, or
            foreign to checkpoints; the message names the file and the reason.
    """
    checkpoint = find_checkpoint(folder)
    config = read_config(checkpoint)
    if (checkpoint / TRAINER).exists():
        load_trainer(checkpoint)  # not needed to predict, but a folder with code in it is not trusted at all
    target = learner or _target(config["learner"], checkpoint)
    try:
        with no_more_parameters(_count_weights(checkpoint / MODEL)):
            made = construct(find_class(target), config["arguments"])
    except Exception as error:  # a constructor may raise anything for arguments that it was not made for
        raise ValueError(f"{checkpoint / CONFIG} has arguments that do not make a {target}: {error}") from error
    load_weights(checkpoint, made)
    return made.eval()


def _count_weights(path: Path) -> int:
    """The number of weights in a file, from its header; no limit if it cannot be read, which `load_weights` reports."""
    try:
        with safe_open(path, "pt") as file:
            return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())
    except (OSError, SafetensorError):
        return sys.maxsize


def find_checkpoint(folder: Folder) -> Path:
    """Return the newest checkpoint of a run folder, or the folder itself if it is one; raise ValueError for none."""
    checkpoint = latest_checkpoint(folder)
    if checkpoint is None:
        raise ValueError(f"{folder} holds no checkpoint: it has neither {CONFIG} nor checkpoints/step-*/{CONFIG}.")
    return checkpoint


def load_weights(checkpoint: Path, learner: Learner) -> None:
    """Put the weights of a checkpoint into a learner of the same names and shapes."""
    path = checkpoint / MODEL
    if not isinstance(learner, torch.nn.Module):
        raise ValueError(f"{path} holds weights, but {learner.name} is not a torch.nn.Module and takes none.")
    _check_digest(path, read_config(checkpoint))
    try:
        learner.load_state_dict(load_file(path, device=str(learner.device)))
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file ({error}). {_use_another(checkpoint)}") from None
    except RuntimeError as error:
        details = " ".join(str(error).split())
        raise ValueError(f"{path} holds weights of another model: {details}") from None
    wrong = [name for name, parameter in learner.named_parameters() if not parameter.isfinite().all()]
    if wrong:
        raise ValueError(f"{path} holds numbers that are not finite, in {', '.join(wrong)}. {_use_another(checkpoint)}")


def load_trainer(checkpoint: Path) -> dict[str, Any]:
    """Return the trainer's state in a checkpoint; only tensors and plain values are read from it."""
    path = checkpoint / TRAINER
    _check_digest(path, read_config(checkpoint))
    try:
        trainer = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # zip, pickle and storage errors of many kinds
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{path} cannot be read as tensors and plain values ({reason}). {_use_another(checkpoint)}"
        ) from None
    if not isinstance(trainer, dict) or not isinstance(trainer.get("step"), int):
        raise ValueError(f"{path} was not written by a trainer: it holds no step. {_use_another(checkpoint)}")
    return trainer


def read_config(checkpoint: Path) -> dict[str, Any]:
    """Return the config of a checkpoint, which must hold nothing but the files of one."""
    if foreign := sorted(path.name for path in checkpoint.iterdir() if path.name not in FILES):
        raise ValueError(
            f"{checkpoint / foreign[0]} is not part of a checkpoint, which holds {', '.join(FILES)} only: remove it, "
            "or nothing in that folder is read."
        )
    path = checkpoint / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON ({error}).") from None
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        given = config.get("format") if isinstance(config, dict) else None
        raise ValueError(f"{path} has the format {shortened(given)}, but this version reads {FORMAT!r}.")
    kinds = {"learner": str, "arguments": dict, "training": dict, "sha256": dict}
    if missing := sorted(kinds.keys() - config.keys()):
        raise ValueError(f"{path} is incomplete: it does not give {', '.join(missing)}.")
    for name, kind in kinds.items():
        if not isinstance(config[name], kind):
            raise ValueError(
                f"{path} is damaged: its {name} is {shortened(config[name])}, which is not a {kind.__name__}."
            )
    if not isinstance(problem := config["training"].get("problem", {}), dict):
        raise ValueError(f"{path} is damaged: its training.problem is {shortened(problem)}, which is not a dict.")
    return config


def write_config(checkpoint: Path, config: dict[str, Any]) -> None:
    """Write the config of a checkpoint."""
    (checkpoint / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def _check_digest(path: Path, config: dict[str, Any]) -> None:
    if not path.is_file():
        raise ValueError(f"{path} is missing.")
    found, written = sha256_of(path), config["sha256"].get(path.name)
    if found != written:
        raise ValueError(
            f"{path} is truncated, damaged or exchanged: its sha256 is {found}, but {CONFIG} gives "
            f"{shortened(written)}. {_use_another(path.parent)}"
        )


def _use_another(checkpoint: Path) -> str:
    return f"In a run's folder, delete {checkpoint} to resume from the checkpoint before it."


def _target(name: str, checkpoint: Path) -> str:
    targets = learner_targets()
    if name not in targets:
        name = name[:LONGEST]
        hint = f"{checkpoint} was trained from {name!r}: if you trust that code, give {name}@{checkpoint}."
        raise UnknownNameError("learner in a checkpoint", name, targets, hint)
    return targets[name]


def _complete(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob(f"step-*/{CONFIG}") if path.parent.suffix != ".partial")


def _remove(checkpoint: Path) -> None:
    """Remove a checkpoint; what is left of it never looks like a whole one."""
    removed = checkpoint.with_name(f"{checkpoint.name}.removed.partial")
    checkpoint.rename(removed)
    shutil.rmtree(removed)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
