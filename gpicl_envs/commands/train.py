"""`gpicl train`: meta-train a learner on an environment."""

from pathlib import Path
from typing import Any

import gymnasium
from rich.console import Console

from gpicl_envs.commands.arguments import Assignments, make_fitting, parse
from gpicl_envs.registration import find_environment


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

    console = Console()
    settings = find_preset(preset)
    num_envs = settings.batch_size if batch_size is None else batch_size
    venv = gymnasium.make_vec(find_environment(env).id, num_envs=num_envs, device=device, **parse(env_set))
    tasks = venv.unwrapped.tasks  # type: ignore[attr-defined]
    check_classification(tasks)
    arguments = parse(set)
    if learner in (None, settings.learner):
        arguments = settings.arguments | {"seed": seed} | arguments
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # a learner of the user's own need not take a seed
        agent = make_fitting(learner or settings.learner, arguments, tasks)
    if resume and latest_checkpoint(out) is None:
        console.print(f"There is nothing to resume in {out}: starting anew.", highlight=False)
    given: dict[str, Any] = {"steps": steps, "learning_rate": learning_rate, "max_seconds": max_seconds, "seed": seed}
    config = replace(settings.config, **{name: value for name, value in given.items() if value is not None})
    with LiveReport(agent.name, config.steps, console) as live:
        progress = run(agent, venv, config, folder=out, resume=resume, report=live)
    spec = f"{learner}@{out}" if learner and ":" in learner else out
    console.print(f"{progress.step} steps in {progress.seconds:.0f} s. Evaluate: gpicl evaluate --learners {spec} knn")
