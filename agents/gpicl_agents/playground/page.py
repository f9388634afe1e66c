"""`write_playground`: a learner, the page's script and some images as one HTML file that needs no server."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save

from gpicl_agents.models.transformer import Transformer
from gpicl_envs.datasets.files import write_text
from gpicl_envs.datasets.registry import load_dataset
from gpicl_envs.learners.base import Learner
from gpicl_envs.report.templates import page_templates

TEMPLATES = page_templates("gpicl_agents", "playground")
SIDE = 28  # pixels of an image, as in glyph.js
DATASETS = ("MNIST", "Digits")
IMAGES_OF_A_CLASS = 6
ARGUMENTS = ("n_features", "n_classes", "width", "n_layers", "n_heads", "input_rank", "n_projections")


def write_playground(learner: Learner, path: str | Path, name: str = "") -> Path:
    """Write the page in which a browser runs a learner, in float32 from weights in half precision.

    Args:
        learner: a Transformer that reads images of 28 × 28 pixels (see `check_runs_in_page`).
        path: of the page; one that exists is replaced.
        name: of the learner on the page; by default its own.

    Returns:
        The path.

    Raises:
        ValueError: the page cannot run this learner; the message says why.
        OSError: the page cannot be written.
    """
    transformer, path = check_runs_in_page(learner), Path(path)
    mean, std = load_dataset("MNIST").moments
    settings = {
        "learner": name or transformer.name,
        "arguments": {name: getattr(transformer, name) for name in ARGUMENTS},
        "moments": {"mean": mean / 255, "std": std / 255},
        "datasets": {name: embedded_images(name, transformer.n_classes) for name in DATASETS},
    }
    weights = b64encode(half_weights(transformer)).decode()
    write_text(path, TEMPLATES.get_template("page.html.jinja").render(settings=settings, weights=weights))
    return path


def check_runs_in_page(learner: Learner) -> Transformer:
    """Return the learner if `model.js` computes what it computes."""
    reason = ""
    if type(learner) is not Transformer:  # a subclass computes something else
        reason = "it is not a plain transformer"
    elif learner.n_classes < 2:
        reason = "it predicts real values"
    elif learner.n_features != SIDE**2:
        reason = f"it reads {learner.n_features} features, not {SIDE} × {SIDE} pixels"
    elif learner.tokens != "paired":
        reason = f"it has tokens={learner.tokens!r}, not 'paired'"
    elif learner.similarity_bias or learner.window is not None:
        reason = "it has a window or a similarity bias"
    if reason:
        raise ValueError(
            f"{learner.name} cannot run in the playground: {reason}. Give a transformer for labels, such as "
            "pretrained:gpicl-small or a run of `gpicl train fast`."
        )
    assert isinstance(learner, Transformer)
    return learner


def half_weights(transformer: Transformer) -> bytes:
    """Return the weights in half precision, as a safetensors file."""
    halves = {name: value.detach().half().cpu().contiguous() for name, value in transformer.state_dict().items()}
    for name, value in halves.items():
        if not value.isfinite().all():
            raise ValueError(
                f"{transformer.name} cannot run in the playground: {name} has weights beyond 65,504, the largest "
                "number in half precision."
            )
    return save(halves)


def embedded_images(name: str, n_classes: int) -> dict[str, Any]:
    """Return six test images of each class, as bytes in base64, with labels and the dataset's moments in 0 … 1."""
    dataset = load_dataset(name, image_size=None if load_dataset(name).shape == (SIDE, SIDE) else SIDE)
    x, y = dataset.split("test")
    largest, (mean, std) = float(x.max()), dataset.moments
    rows = np.concatenate([np.flatnonzero(y == label)[:IMAGES_OF_A_CLASS] for label in range(min(n_classes, 10))])
    return {
        "images": b64encode((x[rows] / largest * 255).round().astype(np.uint8).tobytes()).decode(),
        "labels": y[rows].tolist(),
        "moments": {"mean": mean / largest, "std": std / largest},
        "n_images": len(rows),
    }
