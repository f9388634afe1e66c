"""`gpicl train`: meta-train a learner on an environment."""

import re
from pathlib import Path
from typing import Any

import gymnasium
from rich.console import Console

from gpicl_envs.commands.arguments import Assignments
from gpicl_envs.learners.registry import parse
from gpicl_envs.registration import find_environment


def train(
    out: Path | None = None,
    learner: str | None = None,
    preset: str | None = None,
    env: str = "GPICL-MNIST-v0",
    set: Assignments = (),
    env_set: Assignments = (),
    steps: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    schedule: str | None = None,
    accumulate: int | None = None,
    precision: str | None = None,
    compile: str | None = None,
    max_seconds: float | None = None,
    target: float | None = None,
    evaluate_every: int | None = None,
    evaluate_seen: bool = False,
    evaluate_datasets: tuple[str, ...] = (),
    tensorboard: bool = False,
    from_reward: bool = False,
    seed: int = 0,
    device: str = "cpu",
    resume: bool = False,
) -> None:
    """Meta-train a learner on an environment; on many processes or GPUs under `accelerate launch`.

    Examples: `gpicl train --learner lstm --out runs/lstm`; `gpicl train --preset similarity --env-set n_tasks=4096
    --out runs/few`; `gpicl train --learner my_agent:MyAgent --out runs/mine --steps 500`; `accelerate launch
    --num_processes 2 -m gpicl_envs.cli train --device cuda --out runs/two`.

    Args:
        out: folder of the run: metrics.jsonl and checkpoints; runs/NAME of the preset or learner by default.
        learner: registered name or module:Class; the preset's by default.
        preset: named settings, such as fast, similarity, kernel, paper or tiny; the learner's own by default. Of a
            preset for another learner, only the training settings are used.
        env: environment id.
        set: arguments of the learner, such as width=128.
        env_set: arguments of the environment, such as n_tasks=4096 length=50.
        steps: optimizer steps.
        batch_size: episodes a batch, all processes together.
        learning_rate: peak learning rate.
        schedule: linear, cosine or constant.
        accumulate: batches a step.
        precision: float32 or bf16.
        compile: mode of torch.compile (default, reduce-overhead, max-autotune), or no.
        max_seconds: end the schedule after this much training time.
        target: stop once the accuracy over the last ten positions on unseen tasks reaches this share.
        evaluate_every: steps between evaluations; 0 for none.
        evaluate_seen: evaluate on the meta-training tasks too.
        evaluate_datasets: evaluate on these unseen datasets too, such as FashionMNIST.
        tensorboard: write TensorBoard events into the folder.
        from_reward: meta-reinforcement learning: policy gradients from the rewards alone, with --env-set
            feedback=reward from bandit feedback. Of the settings it takes steps, batch_size, learning_rate and
            tensorboard; there is no evaluation on the way, and no resuming.
        seed: of the initial weights and the episodes.
        device: cpu or cuda.
        resume: go on from the newest checkpoint in the folder.
    """
    from dataclasses import replace

    import torch

    from gpicl_agents.training.checkpoint import latest_checkpoint
    from gpicl_agents.training.distributed import Processes, local_device
    from gpicl_agents.training.presets import find_preset, preset_for
    from gpicl_agents.training.progress import LiveReport
    from gpicl_agents.training.supervised import train as run
    from gpicl_envs.evaluation.evaluate import check_classification
    from gpicl_envs.learners.registry import make_fitting, takes_seed

    device = local_device(device)
    processes = Processes(device)
    console = Console(quiet=not processes.is_main)
    settings = preset_for(learner) if preset is None else find_preset(preset)
    out = Path("runs") / re.sub(r"\W+", "-", preset or learner or "fast") if out is None else out
    num_envs = processes.part(settings.batch_size if batch_size is None else batch_size)
    venv = gymnasium.make_vec(find_environment(env).id, num_envs=num_envs, device=device, **parse(env_set))
    tasks = venv.unwrapped.tasks  # type: ignore[attr-defined]
    check_classification(tasks)
    arguments = parse(set)
    if preset is not None and learner in (None, settings.learner):
        _check_preset(preset, settings.arguments, arguments, tasks)
    if learner in (None, settings.learner):
        arguments = settings.arguments | arguments
    if takes_seed(learner or settings.learner):
        arguments = {"seed": seed} | arguments
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # a learner of the user's own need not take a seed
        agent = make_fitting(learner or settings.learner, arguments, tasks)
    spec = f"{learner}@{out}" if learner and ":" in learner else out
    evaluating = f"Evaluate: gpicl evaluate --learners {spec} knn{_environment(env, env_set)}"
    if from_reward:
        refused: dict[str, Any] = {"schedule": schedule, "accumulate": accumulate, "precision": precision}
        refused |= {"compile": compile, "max_seconds": max_seconds, "target": target, "evaluate_every": evaluate_every}
        refused |= {"evaluate_seen": evaluate_seen, "evaluate_datasets": evaluate_datasets, "resume": resume}
        if named := [name for name, value in refused.items() if value]:
            raise ValueError(f"--from-reward does not take {', '.join(named)}: leave that out.")
        if processes.count > 1:
            raise ValueError("--from-reward trains in one process: run it without `accelerate launch`.")
        stopped = _from_reward(agent, venv, out, console, steps, learning_rate, seed, tensorboard)
        console.print(evaluating, highlight=False)
        if stopped:
            raise SystemExit(130)
        return
    if resume and latest_checkpoint(out) is None:
        console.print(f"There is nothing to resume in {out}: starting anew.", highlight=False)
    given: dict[str, Any] = {"steps": steps, "learning_rate": learning_rate, "max_seconds": max_seconds, "seed": seed}
    given |= {"schedule": schedule, "accumulate": accumulate, "precision": precision, "compile": compile}
    given |= {"target": target, "evaluate_every": evaluate_every, "tensorboard": tensorboard}
    given |= {"evaluate_seen": evaluate_seen, "evaluate_datasets": evaluate_datasets}
    config = replace(settings.config, **{name: value for name, value in given.items() if value is not None})
    with LiveReport(agent.name, config.steps, console) as live:
        progress = run(agent, venv, config, folder=out, resume=resume, report=live)
    gain = f"; accuracy rose in the episode from step {progress.left_chance} on" if progress.left_chance else ""
    if progress.no_gain:
        gain = "; no gain in the episode (last ten examples against the first) was seen"
    console.print(f"{progress.step} steps in {progress.seconds:.0f} s{gain}.")
    if progress.stopped == "interrupted":
        console.print(f"Stopped and saved in {out}: go on with the same command and --resume.", highlight=False)
        raise SystemExit(130)
    if progress.stopped == "target":
        console.print(f"The target of {target} was reached.", highlight=False)
    console.print(evaluating, highlight=False)


def _environment(env: str, env_set: Assignments) -> str:
    """The arguments of `gpicl evaluate` for the environment that was trained on; what is told and paid stays out."""
    kept = [text for text in env_set if text.partition("=")[0] not in ("feedback", "action", "n_tasks", "split")]
    named = f" --env {env}" if env != "GPICL-MNIST-v0" else ""
    return named + (f" --env-set {' '.join(kept)}" if kept else "")


def _check_preset(preset: str, settings: dict[str, Any], given: dict[str, Any], tasks: Any) -> None:
    """A preset's projection may be wider than the environment's inputs: say which settings to give."""
    rank = {**settings, **given}.get("input_rank")
    if isinstance(rank, int) and rank * {**settings, **given}.get("n_projections", 1) > tasks.n_features:
        raise ValueError(
            f"The preset {preset!r} is made for more features than n_features={tasks.n_features}: give --set "
            f"input_rank=… n_projections=… with input_rank · n_projections of at most {tasks.n_features}."
        )


def _from_reward(
    agent: Any,
    venv: Any,
    out: Path,
    console: Console,
    steps: int | None,
    learning_rate: float | None,
    seed: int,
    tensorboard: bool,
) -> bool:
    """Train from reward; whether it was interrupted."""
    from gpicl_agents.training.progress import LiveReport
    from gpicl_agents.training.reinforce import RewardConfig, train_from_reward

    given = {"steps": steps, "learning_rate": learning_rate}
    kept: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    config = RewardConfig(**kept, seed=seed, tensorboard=tensorboard)
    with LiveReport(agent.name, config.steps, console) as live:
        progress = train_from_reward(agent, venv, config, folder=out, report=live)
    console.print(f"{progress.step} steps. The last roll-outs were {100 * progress.accuracy:.0f} % right at their end.")
    if progress.stopped:
        console.print(f"Stopped; what was learned is saved in {out}. Such a run is not resumed.", highlight=False)
    return bool(progress.stopped)
