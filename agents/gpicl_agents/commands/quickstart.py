"""`gpicl quickstart`: everything once on real MNIST, with a report."""

from pathlib import Path


def quickstart(
    out: Path = Path("runs/quickstart"),
    seed: int = 0,
    scale: float = 1.0,
    episodes: int = 1024,
    device: str = "cpu",
) -> None:
    """Meta-train two agents on MNIST, compare them with baselines on unseen tasks, and write a report.

    Examples: `gpicl quickstart`; `gpicl quickstart --scale 0.05 --episodes 64 --out /tmp/look` for a quick look.

    Args:
        out: folder for checkpoints, records and the report.
        seed: of training; the comparison's episodes have seed + 7,000,000.
        scale: fraction of the full number of training steps.
        episodes: episodes of MNIST in the comparison; the unseen datasets get half as many.
        device: cpu or cuda.
    """
    from gpicl_agents.quickstart import QuickstartConfig
    from gpicl_agents.quickstart import quickstart as run

    run(out, QuickstartConfig(scale=scale, episodes=episodes, seed=seed, device=device))
