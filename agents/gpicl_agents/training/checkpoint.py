"""Checkpoints: folders of safetensors and JSON, written so that a kill at any moment leaves the last good one.

`step-00000400/` holds `model.safetensors`, `config.json` (the learner, its arguments, and the sha256 of the other
files), `trainer.pt` (optimizer, step, seconds, random state), and `extra_state.pt`, if the learner's modules have a
`get_extra_state`; the last two are read with `weights_only=True`. A run folder keeps its checkpoints under
`checkpoints/`. Nothing named in a checkpoint is imported or unpickled: its learner is looked up in the registry of this
installation. A folder with any other file, or with a changed one, is refused; the error names it.
"""

import io
import json
import math
import os
import shutil
import sys
from collections.abc import Mapping
from copy import deepcopy
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from gpicl_agents.training.exact_json import decode_exactly, encode_exactly
from gpicl_envs.datasets.cache import sha256_of
from gpicl_envs.datasets.files import sync, writing
from gpicl_envs.errors import LONGEST, UnknownNameError, construct, short_message, shortened
from gpicl_envs.learners.base import Learner, no_more_parameters
from gpicl_envs.learners.registry import find_class, learner_targets

FORMAT = "gpicl-checkpoint-1"
KEEP = 2
MODEL, CONFIG, TRAINER, CARD = "model.safetensors", "config.json", "trainer.pt", "MODEL_CARD.md"
EXTRA = "extra_state.pt"  # what the modules' `get_extra_state` returned, other than tensors
ON_A_HUB = ("README.md", ".gitattributes", "LICENSE")  # what a repository of models has beside: text, never read
FILES = (MODEL, CONFIG, TRAINER, EXTRA, CARD, *ON_A_HUB)

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
    try:
        _write(temporary, learner, trainer, training)
        if folder.exists():
            _remove(folder)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync(folder.parent)
    for old in _complete(folder.parent)[:-KEEP]:
        _remove(old)
    return folder


def _write(folder: Path, learner: Any, trainer: dict[str, Any], training: dict[str, Any]) -> None:
    """Write the files of a checkpoint into a new folder, and wait until they are on the disk."""
    with writing(folder):
        folder.mkdir(parents=True)
    state = learner.state_dict()
    tensors = {
        name: value.cpu().clone().contiguous() for name, value in state.items() if isinstance(value, torch.Tensor)
    }
    extra = {name: value for name, value in state.items() if name not in tensors}
    contents = {MODEL: save(tensors), TRAINER: _packed(trainer)} | ({EXTRA: _packed(extra)} if extra else {})
    for name, content in contents.items():
        with writing(folder / name):
            (folder / name).write_bytes(content)
    target = f"{type(learner).__module__}:{type(learner).__qualname__}"
    config = {
        "format": FORMAT,
        "learner": next((name for name, known in learner_targets().items() if known == target), target),
        "arguments": learner.get_params(),
        "name": learner.name,
        "step": trainer["step"],
        "training": training,
        "sha256": {name: sha256(content).hexdigest() for name, content in contents.items()},
    }
    write_config(folder, config)
    for path in (*folder.iterdir(), folder):
        sync(path)


def check_savable(learner: Any, arguments: Mapping[str, Any]) -> None:
    """Raise ValueError unless a checkpoint can hold the learner's extra state and these arguments."""
    try:
        json.dumps(encode_exactly(arguments))
    except TypeError as error:
        raise ValueError(
            f"{learner.name} cannot be saved in a checkpoint: its arguments are not JSON ({error})."
        ) from None
    extra = {name: value for name, value in learner.state_dict().items() if not isinstance(value, torch.Tensor)}
    try:
        _unpacked(_packed(extra))
    except Exception as error:  # of pickle, of many kinds
        raise ValueError(
            f"{learner.name} cannot be saved in a checkpoint: a get_extra_state of its modules returns more than "
            f"tensors and plain values ({str(error).splitlines()[0]})."
        ) from None


def _packed(value: Any) -> bytes:
    buffer = io.BytesIO()  # torch.save itself does not say why it cannot write to a disk
    torch.save(value, buffer)
    return buffer.getvalue()


def _unpacked(content: bytes) -> Any:
    return torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")


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
        message = f"{checkpoint / CONFIG} has arguments that do not make a {target}: {short_message(error)}"
        raise ValueError(message) from error
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
    """Put the weights of a checkpoint into a learner of the same names and shapes: all, or if refused, none."""
    path = checkpoint / MODEL
    if not isinstance(learner, torch.nn.Module):
        raise ValueError(f"{path} holds weights, but {learner.name} is not a torch.nn.Module and takes none.")
    _check_digest(path, read_config(checkpoint))
    extra = _load_plain(checkpoint / EXTRA) if EXTRA in read_config(checkpoint)["sha256"] else {}
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file ({error}). {_use_another(checkpoint)}") from None
    parameters = dict(learner.named_parameters())
    wrong = [name for name, values in tensors.items() if name in parameters and not values.isfinite().all()]
    if wrong:
        raise ValueError(f"{path} holds numbers that are not finite, in {', '.join(wrong)}. {_use_another(checkpoint)}")
    before = deepcopy(learner.state_dict())
    try:
        learner.load_state_dict(tensors | extra)
    except RuntimeError as error:
        learner.load_state_dict(before)
        raise ValueError(f"{path} holds weights of another model: {short_message(error)}") from None


def load_trainer(checkpoint: Path) -> dict[str, Any]:
    """Return the trainer's state in a checkpoint; only tensors and plain values are read from it."""
    path = checkpoint / TRAINER
    trainer = _load_plain(path)
    if not isinstance(trainer, dict) or not isinstance(trainer.get("step"), int):
        raise ValueError(f"{path} was not written by a trainer: it holds no step. {_use_another(checkpoint)}")
    return trainer


def _load_plain(path: Path) -> Any:
    """The tensors and plain values in a file of a checkpoint."""
    _check_digest(path, read_config(path.parent))
    try:
        return _unpacked(path.read_bytes())
    except Exception as error:  # zip, pickle and storage errors of many kinds
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{path} cannot be read as tensors and plain values ({reason}). {_use_another(path.parent)}"
        ) from None


def read_config(checkpoint: Path) -> dict[str, Any]:
    """Return the config of a checkpoint, which must hold nothing but the files of one."""
    if foreign := sorted(path.name for path in checkpoint.iterdir() if path.name not in FILES):
        raise ValueError(
            f"{checkpoint / foreign[0]} is not part of a checkpoint, which holds {', '.join(FILES)} only: remove it, "
            "or nothing in that folder is read."
        )
    path = checkpoint / CONFIG
    try:
        config = decode_exactly(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}).") from None
    except (ValueError, TypeError, RecursionError) as error:
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
    path = checkpoint / CONFIG
    with writing(path):
        path.write_text(json.dumps(encode_exactly(config), indent=1) + "\n", encoding="utf-8")


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
