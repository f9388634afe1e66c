"""The command line: the one place that joins environments, agents, baselines and reports."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import gymnasium
import tyro
from rich.console import Console
from rich.table import Table

from gpicl_envs.commands.arguments import Assignments, parse
from gpicl_envs.commands.data import data
from gpicl_envs.commands.play import play
from gpicl_envs.errors import check_integer
from gpicl_envs.registration import environments, find_environment

console = Console()


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
        seed: of training; the comparison uses episodes of seed + 7,000,000.
        scale: share of the full number of training steps.
        episodes: episodes of MNIST in the comparison; the unseen datasets get half as many.
        device: cpu or cuda.
    """
    from gpicl_agents.quickstart import QuickstartConfig
    from gpicl_agents.quickstart import quickstart as run

    run(out, QuickstartConfig(scale=scale, episodes=episodes, seed=seed, device=device), console)


def envs() -> None:
    """List the environments.

    Example: `gpicl envs`.
    """
    table = Table("id", "what is learned", box=None)
    for environment in environments().values():
        table.add_row(environment.id, environment.description)
    console.print(table)
    console.print("Arguments of gymnasium.make(id, ...): see help(gpicl_envs.InContextVectorEnv).", highlight=False)


def train(
    out: Path,
    learner: str | None = None,
    preset: str = "fast",
    env: str = "GPICL-MNIST-v0",
    set: Assignments = (),
    env_set: Assignments = (),
    steps: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    max_seconds: float | None = None,
    seed: int = 0,
    device: str = "cpu",
    resume: bool = False,
) -> None:
    """Meta-train a learner on an environment.

    Examples: `gpicl train --out runs/mnist`; `gpicl train --preset similarity --env-set n_tasks=4096 --out runs/few`;
    `gpicl train --learner my_agent:MyAgent --out runs/mine --steps 500`.

    Args:
        out: folder of the run: metrics.jsonl and checkpoints.
        learner: registered name or module:Class; the preset's by default. With another learner than the preset's, only
            the preset's training settings are used.
        preset: named settings: fast, similarity, paper, tiny.
        env: environment id.
        set: arguments of the learner, such as width=128.
        env_set: arguments of the environment, such as n_tasks=4096 length=50.
        steps: optimizer steps.
        batch_size: episodes a step.
        learning_rate: peak learning rate.
        max_seconds: end the schedule after this much training time.
        seed: of the initial weights and the episodes.
        device: cpu or cuda.
        resume: go on from the newest checkpoint in the folder.
    """
    from dataclasses import replace

    import torch

    from gpicl_agents.checkpoint import latest_checkpoint
    from gpicl_agents.presets import find_preset
    from gpicl_agents.progress import LiveReport
    from gpicl_agents.train import train as run
    from gpicl_envs.evaluation import check_classification

    settings = find_preset(preset)
    venv = make_batch(env, settings.batch_size if batch_size is None else batch_size, device, parse(env_set))
    check_classification(venv.unwrapped.tasks)
    arguments = parse(set)
    if learner in (None, settings.learner):
        arguments = settings.arguments | {"seed": seed} | arguments
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # a learner of the user's own need not take a seed
        agent = _make(learner or settings.learner, arguments, venv.unwrapped.tasks)
    if resume and latest_checkpoint(out) is None:
        console.print(f"There is nothing to resume in {out}: starting anew.", highlight=False)
    given: dict[str, Any] = {"steps": steps, "learning_rate": learning_rate, "max_seconds": max_seconds, "seed": seed}
    config = replace(settings.config, **{name: value for name, value in given.items() if value is not None})
    with LiveReport(agent.name, config.steps, console) as live:
        progress = run(agent, venv, config, folder=out, resume=resume, report=live)
    spec = f"{learner}@{out}" if learner and ":" in learner else out
    console.print(f"{progress.step} steps in {progress.seconds:.0f} s. Evaluate: gpicl evaluate --learners {spec} knn")


def evaluate(
    learners: Sequence[str],
    env: str = "GPICL-MNIST-v0",
    split: Literal["seen", "unseen-task", "unseen-dataset"] = "unseen-task",
    env_set: Assignments = (),
    episodes: int = 1024,
    seed: int = 0,
    batch_size: int = 16,
    device: str = "cpu",
    out: Path = Path("runs/records.jsonl"),
) -> None:
    """Evaluate learners on the same episodes, print the table, and keep the records.

    Every learner passes `gpicl check` first: one that sees the future gets no score.

    Examples: `gpicl evaluate --learners runs/mnist knn ridge`; `gpicl evaluate --learners my_agent:MyAgent knn --env
    GPICL-Digits-v0 --split unseen-dataset`.

    Args:
        learners: registered names, module:Class, or checkpoint folders.
        env: environment id.
        split: the question asked: tasks of meta-training (train images), new tasks on test images, or a new dataset.
        env_set: arguments of the environment, such as n_tasks=4096 length=50.
        episodes: episodes for each learner.
        seed: of the episodes.
        batch_size: episodes at a time.
        device: cpu or cuda.
        out: file to which the records are added.
    """
    from gpicl_envs.evaluation import check_classification, evaluate_all
    from gpicl_envs.records import append_records
    from gpicl_envs.report import group, markdown_table
    from gpicl_envs.testing import check_learner
    from gpicl_envs.vector_env import make_tasks

    check_integer("seed", seed, 0)
    check_integer("episodes", episodes, 1)
    given = parse(env_set)
    if "split" in given:
        raise ValueError("The images follow from the question: give --split, not split among --env-set.")
    arguments = find_environment(env).arguments | {"split": "train" if split == "seen" else "test", "device": device}
    tasks = make_tasks(**arguments | given)
    append_records(out, [])  # fails now, not after the evaluation, where nothing can be written
    check_classification(tasks)
    made = [_make(spec, {}, tasks) for spec in learners]
    for learner in made:
        check_learner(learner, length=max(2, min(tasks.length, 100)))
    curves = evaluate_all(made, tasks, episodes=episodes, seed=seed, split=split, batch_size=batch_size)
    records = [curve.record() for curve in curves]
    names = [record["learner"] for record in records]
    for record, spec in zip(records, learners, strict=True):
        if names.count(record["learner"]) > 1:
            record["learner"] += f" ({spec})"
    append_records(out, records)
    console.print(markdown_table(group(records)), markup=False, highlight=False, soft_wrap=True)
    console.print(f"Records added to {out}. Draw them: gpicl report {out}", highlight=False)


def report(
    records: tyro.conf.Positional[Sequence[Path]], out: Path = Path("runs/report"), title: str = "Learning curves"
) -> None:
    """Draw records as a table, a picture and one self-contained page.

    Example: `gpicl report runs/records.jsonl --out runs/report`.

    Args:
        records: record files, as `gpicl evaluate` writes them.
        out: folder for table.md, learning-curves.png and index.html.
        title: of the page.
    """
    from gpicl_envs.records import read_records
    from gpicl_envs.report import write_report

    page = write_report([record for path in records for record in read_records(path)], out, title=title)
    console.print(f"The report: {page}", highlight=False)


def check(learner: tyro.conf.Positional[str], set: Assignments = (), seed: int = 0) -> None:
    """Check that a learner keeps the protocol, above all that it cannot see the future.

    Examples: `gpicl check my_agent:MyAgent`; `gpicl check knn --set k=3`.

    Args:
        learner: registered name, module:Class or checkpoint folder.
        set: arguments of the learner, such as k=3.
        seed: of the trial data.
    """
    from gpicl_envs.learner import make_learner
    from gpicl_envs.testing import check_learner

    made = make_learner(learner, **parse(set))
    check_learner(made, seed=seed)
    console.print(f"{made.name} keeps the protocol: causal, deterministic, step and predict agree.", highlight=False)


COMMANDS: dict[str, Callable[..., Any]] = {
    "quickstart": quickstart,
    "envs": envs,
    "train": train,
    "evaluate": evaluate,
    "report": report,
    "check": check,
    "data": data,
    "play": play,
}


def make_batch(env_id: str, num_envs: int, device: str, arguments: dict[str, Any]) -> Any:
    """Return the vector environment of an id; an unknown id lists the valid ones."""
    find_environment(env_id)
    return gymnasium.make_vec(env_id, num_envs=num_envs, device=device, **arguments)


def _make(spec: str, arguments: dict[str, Any], tasks: Any) -> Any:
    """Return a learner made for the tasks' D and K, on their device; a checkpoint brings its own D and K."""
    from torch.nn import Module

    from gpicl_envs.learner import make_learner

    if not os.path.isdir(spec) and "@" not in spec:
        arguments = {"n_features": tasks.n_features, "n_classes": tasks.n_classes} | arguments
    made = make_learner(spec, **arguments)
    return made.to(tasks.device) if isinstance(made, Module) else made


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; bad input ends with one line on standard error and exit code 2."""
    sys.path.insert(0, os.getcwd())  # so that module:Class finds the user's own files
    try:
        tyro.extras.subcommand_cli_from_dict(
            dict(COMMANDS), prog="gpicl", description="In-context learning as an environment.", args=arguments
        )
    except KeyboardInterrupt:
        sys.exit("\ninterrupted: the same command goes on where the last checkpoint was (gpicl train: with --resume)")
    except (ValueError, AssertionError, FloatingPointError, OSError, gymnasium.error.Error) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
