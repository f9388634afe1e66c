"""Meta-trained learners that come with the package: `load_pretrained("gpicl-small")`.

Each has a folder `pretrained/NAME/`: a checkpoint without the trainer's part, and `MODEL_CARD.md` with its training
data, cost and scores. `export` makes one from a run; a larger model is kept in half precision.
"""

import re
import shutil
from hashlib import sha256
from pathlib import Path

from safetensors.torch import load, save

from gpicl_agents.training.checkpoint import (
    CARD,
    CONFIG,
    EXTRA,
    MODEL,
    Folder,
    find_checkpoint,
    load_learner,
    read_config,
    write_config,
)
from gpicl_envs.errors import UnknownNameError
from gpicl_envs.learners.base import Learner

FOLDER = Path(__file__).parent / "pretrained"
MOST_BYTES = 9_000_000  # of weights, which everybody downloads with the package


def pretrained_names() -> tuple[str, ...]:
    """Return the names of the pretrained learners in this installation."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob(f"*/{CONFIG}")))


def load_pretrained(name: str) -> Learner:
    """Return a pretrained learner, ready to predict; the sha256 of its weights is checked before they are read.

    Args:
        name: one of `pretrained_names()`.

    Raises:
        ValueError: the name is unknown, or the files were changed.
    """
    if name not in pretrained_names():
        raise UnknownNameError("pretrained learner", name, pretrained_names())
    return load_learner(FOLDER / name)


def export(run: Folder, name: str, card: str) -> Path:
    """Keep the newest weights of a run as a pretrained learner of this package; one of that name is replaced.

    Args:
        run: a run folder, or a checkpoint.
        name: lower-case letters, digits and hyphens.
        card: the text of the model card, in Markdown.

    Returns:
        The learner's folder.

    Raises:
        ValueError: the checkpoint cannot be loaded or is too large, the name is not allowed, or the card is empty.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise ValueError(f"name={name!r} is not allowed: give lower-case letters, digits and hyphens (gpicl-small).")
    if not card.strip():
        raise ValueError("The model card is empty: give the training data, the cost and the scores.")
    checkpoint = find_checkpoint(run)
    load_learner(checkpoint)
    content = (checkpoint / MODEL).read_bytes()
    if len(content) > MOST_BYTES:
        content = save({key: value.half() for key, value in load(content).items()})
    if len(content) > MOST_BYTES:
        raise ValueError(
            f"{checkpoint / MODEL} has {len(content):,} bytes in half precision, above {MOST_BYTES:,}: train a smaller "
            "learner."
        )
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config, kept = read_config(checkpoint), {MODEL: sha256(content).hexdigest()}
    (folder / MODEL).write_bytes(content)
    if EXTRA in config["sha256"]:
        kept[EXTRA] = config["sha256"][EXTRA]
        shutil.copyfile(checkpoint / EXTRA, folder / EXTRA)
    write_config(folder, config | {"sha256": kept})
    (folder / CARD).write_text(card.strip() + "\n", encoding="utf-8")
    return folder
