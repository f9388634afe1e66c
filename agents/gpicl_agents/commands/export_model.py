"""`gpicl export-model`: a learner as an ONNX file, for programs without PyTorch."""

from pathlib import Path
from typing import Literal

import tyro

from gpicl_envs.commands.arguments import show


def export_model(
    learner: tyro.conf.Positional[str],
    out: tyro.conf.Positional[Path],
    kind: Literal["predict", "step"] = "predict",
    n_examples: int = 100,
    half: bool = False,
) -> None:
    """Write a sequence model to an ONNX file, which a browser, a phone or a robot can run without PyTorch.

    The file is kept only if onnxruntime computes the same from it as PyTorch does, within 1e-4. (Episodes are written
    by `gpicl export`.)

    Example: `gpicl export-model pretrained:gpicl-small small.onnx --half`.

    Args:
        learner: run or checkpoint folder, pretrained:NAME, hf:USER/NAME or registered name.
        out: a file that ends in .onnx.
        kind: predict all labels of an episode at once, or step from example to example with the state as tensors.
        n_examples: most examples in an episode.
        half: keep the weights in half precision (half the size; computed in float32 all the same).
    """
    from gpicl_agents.sharing.onnx_export import export_onnx
    from gpicl_envs.learners.registry import make_learner

    made = make_learner(learner)
    found = export_onnx(made, out, kind=kind, n_examples=n_examples, half=half)
    number = f"up to {n_examples}" if found.is_open or kind == "step" else f"{n_examples}, filled up with zeros"
    rounded = f", {found.half_difference:.1g} with weights in half precision" if half else ""
    show(
        f"{made.name}, {kind}, examples: {number}, in {out} ({out.stat().st_size / 1e6:.1f} MB); largest difference to "
        f"PyTorch {found.difference:.1g}{rounded}."
    )
