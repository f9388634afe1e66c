"""`quickstart`: meta-train two agents, compare them with baselines on unseen tasks, and write a report."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console

from gpicl_agents.experiments.engine.plots import draw_emergence
from gpicl_agents.training.live_report import LiveReport, outcome, score_table
from gpicl_agents.training.presets import PRESETS
from gpicl_agents.training.run_setup import set_up
from gpicl_agents.training.supervised import train
from gpicl_envs.commands.arguments import show
from gpicl_envs.datasets.files import exclusive, write_text, writing
from gpicl_envs.errors import check_integer
from gpicl_envs.evaluation.comparisons import scored
from gpicl_envs.evaluation.evaluate import evaluate_all
from gpicl_envs.evaluation.jsonl import append_jsonl, read_jsonl
from gpicl_envs.evaluation.protocol import UNSEEN_DATASET, UNSEEN_TASK
from gpicl_envs.evaluation.records import SCHEMA, FailedRecord, Record, ScoredRecord
from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.report import compare, group, write_report
from gpicl_envs.sampling.distribution import check_device
from gpicl_envs.tasks.classification import TaskDistribution

ENV_ID = "GPICL-MNIST-v0"
AGENTS = ("similarity", "fast")
BASELINES = ("knn", "centroid", "ridge", "kernel-ridge", "sgd", "majority")
PROTOCOL_OF = {"MNIST": UNSEEN_TASK} | dict.fromkeys(("Digits", "Clusters", "Random"), UNSEEN_DATASET)
SETTINGS = "quickstart.json"
RECORDS = "records.jsonl"


@dataclass(frozen=True)
class QuickstartConfig:
    """Size of the quickstart.

    Args:
        scale: fraction of each preset's training steps.
        max_seconds: longest training time of each agent: (similarity, fast).
        episodes: episodes of MNIST in the comparison; the unseen datasets get half as many.
        seed: of the training; the comparison's episodes are seed + 7,000,000.
        device: where everything computes.
    """

    scale: float = 1.0
    max_seconds: tuple[float, float] = (120.0, 300.0)
    episodes: int = 1024
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_integer("episodes", self.episodes, 1)
        check_integer("seed", self.seed, 0)
        if not 0 < self.scale <= 100:
            raise ValueError(f"scale={self.scale!r} is not allowed: give a number above 0, at most 100.")
        check_device(self.device)


def quickstart(folder: str | Path, config: QuickstartConfig | None = None, console: Console | None = None) -> Path:
    """Meta-train, compare and report; a folder with a run of the same settings is resumed, to the same result.

    Args:
        folder: gets `similarity/`, `fast/` (checkpoints, metrics), `records.jsonl` and `report/`.
        config: size.
        console: where to print.

    Returns:
        The report's page.

    Raises:
        ValueError: the folder holds something else, a quickstart with other settings for example, or is in use.
        OSError: a file cannot be written.
        KeyboardInterrupt: a signal stopped it.
    """
    config, console = config or QuickstartConfig(), console or Console()
    folder = Path(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder):
        _prepare(folder, config, console)
        return _run(folder, config, console)


def _run(folder: Path, config: QuickstartConfig, console: Console) -> Path:
    agents = [
        _train(name, folder / name, config, seconds, console)
        for name, seconds in zip(AGENTS, config.max_seconds, strict=True)
    ]
    learners = [*agents, *(make_learner(name) for name in BASELINES)]
    records = _compare(learners, folder / RECORDS, config, console)
    _print_scores(records, console)
    emergence = folder / "report" / "emergence.png"
    draw_emergence({agent.name: folder / name for agent, name in zip(agents, AGENTS, strict=True)}, emergence)
    pictures = {"How learning emerges while the agents are meta-trained": emergence}
    page = write_report(records, folder / "report", title="Quickstart: in-context learning on MNIST", pictures=pictures)
    show(f"\nThe report, with all learning curves: {page}", console)
    return page


def _prepare(folder: Path, config: QuickstartConfig, console: Console) -> None:
    """Make sure that the folder holds nothing, or a quickstart with the same settings."""
    settings = folder / SETTINGS
    wanted = json.dumps(asdict(config))
    if not settings.exists():
        present = [str(folder / name) for name in (*AGENTS, "report", RECORDS) if (folder / name).exists()]
        if present:
            raise ValueError(f"{', '.join(present)} were not made by a quickstart: give another folder (--out).")
        write_text(settings, wanted)
    elif (found := settings.read_text(encoding="utf-8")) != wanted:
        raise ValueError(
            f"{folder} holds a quickstart with other settings ({found}; now {wanted}): give another folder (--out), or "
            "delete that one."
        )
    else:
        show(f"Resuming the run in {folder}; to start from scratch, delete that folder.", console)


def _train(name: str, folder: Path, config: QuickstartConfig, max_seconds: float, console: Console) -> Learner:
    preset = PRESETS[name]
    learner, venv = set_up(
        preset.spec, batch_size=preset.batch_size, env=ENV_ID, seed=config.seed, device=config.device
    )
    steps = max(2, round(preset.config.steps * config.scale))
    settings = replace(preset.config, steps=steps, seed=config.seed, max_seconds=max_seconds)
    console.rule(f"meta-training {learner.name} on {ENV_ID}: {preset.description}")
    with LiveReport(learner.name, settings.steps, console) as live:
        progress = train(learner, venv, settings, folder=folder, resume=True, report=live)
    show(f"{learner.name}: {outcome(progress)}\n", console)
    if progress.on_plateau:
        advice = "run the quickstart at full scale, while the machine does nothing else."
        show(f"{learner.name} is still on the loss plateau: {advice}\n", console)
    return learner


def _compare(learners: list[Learner], path: Path, config: QuickstartConfig, console: Console) -> list[Record]:
    """Every learner on the same episodes of every dataset, a dataset at a time."""
    append_jsonl(path, [])  # removes a last line that a kill cut short
    found = read_jsonl(path, ScoredRecord | FailedRecord, SCHEMA)
    done = {(record.env, record.learner) for record in found}
    for dataset, protocol in PROTOCOL_OF.items():
        tasks = TaskDistribution(dataset, split="test", device=config.device)
        if all((tasks.env_id, learner.name) in done for learner in learners):
            continue
        episodes = config.episodes if protocol == UNSEEN_TASK else max(1, config.episodes // 2)
        show(f"comparing {len(learners)} learners on {episodes:,} episodes of {dataset} ({protocol})", console)
        curves = evaluate_all(learners, tasks, episodes=episodes, seed=config.seed + 7_000_000, protocol=protocol)
        new = [curve.record() for curve in curves if (tasks.env_id, curve.learner) not in done]
        append_jsonl(path, new)
        found += new
    return found


def _print_scores(records: list[Record], console: Console) -> None:
    columns = group(records)
    console.print(score_table(columns))
    on_mnist = {record.learner: record for record in scored(columns["MNIST, unseen-task"])}
    for learner in ("transformer", "transformer+similarity"):
        mean, low, high = (100 * value for value in compare(on_mnist[learner], on_mnist["1-nn-cosine"]))
        gap = f"{mean:+.1f} points, 95 % interval [{low:+.1f}, {high:+.1f}]"
        show(f"{learner} minus 1-nn-cosine on unseen MNIST tasks: {gap}", console)
