"""`gpicl evaluate`: learners on the same episodes, as a table and as records."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from gpicl_envs.commands.arguments import Assignments
from gpicl_envs.errors import check_integer
from gpicl_envs.learners.registry import LearnerSpec, parse_assignments
from gpicl_envs.registration import find_environment


def evaluate(
    learners: Annotated[Sequence[str], tyro.conf.arg(aliases=["--learner"])],
    env: str = "GPICL-MNIST-v0",
    protocol: Literal["seen-task", "unseen-task", "unseen-dataset"] = "unseen-task",
    env_kwargs: Assignments = (),
    episodes: int = 1024,
    seed: int = 0,
    batch_size: int = 16,
    device: str = "cpu",
    out: Path = Path("runs/records.jsonl"),
) -> None:
    """Evaluate learners on the same episodes, print the table, and keep the records.

    Every learner passes `gpicl check` first: one that sees the future gets no score.

    Examples: `gpicl evaluate --learners runs/mnist knn ridge`; `gpicl evaluate --learners my_agent:MyAgent knn --env
    GPICL-Digits-v0 --protocol unseen-dataset`.

    Args:
        learners: registered names, module:Class, checkpoint folders, or pretrained:NAME.
        env: environment id.
        protocol: tasks of meta-training (train images), new tasks on test images, or a new dataset.
        env_kwargs: arguments of the environment, such as length=50 label_noise=0.1.
        episodes: episodes for each learner.
        seed: of the episodes.
        batch_size: episodes at a time.
        device: cpu or cuda.
        out: file to which the records are added.
    """
    from gpicl_envs.evaluation.evaluate import evaluate_all
    from gpicl_envs.evaluation.records import append_records
    from gpicl_envs.learners.check import check_learner
    from gpicl_envs.report import group, markdown_table
    from gpicl_envs.tasks import make_tasks
    from gpicl_envs.tasks.oracle import Oracle

    console = Console()
    check_integer("seed", seed, 0)
    check_integer("episodes", episodes, 1)
    given = parse_assignments(env_kwargs)
    if "split" in given:
        raise ValueError("The images follow from the protocol: give --protocol, not split among --env-kwargs.")
    arguments = find_environment(env).arguments | {
        "split": "train" if protocol == "seen-task" else "test",
        "device": device,
    }
    tasks = make_tasks(**arguments | given)
    append_records(out, [])  # fails now, not after the evaluation, where nothing can be written
    specs = [LearnerSpec.parse(text) for text in learners]
    made = [spec.make_for(tasks) for spec in specs]
    for learner in made:
        if isinstance(learner, Oracle):
            continue
        check_learner(learner, length=max(2, min(tasks.length, 100)))
    curves = evaluate_all(made, tasks, episodes=episodes, seed=seed, protocol=protocol, batch_size=batch_size)
    records = [curve.record() for curve in curves]
    names = [record["learner"] for record in records]
    for record, spec, learner in zip(records, specs, made, strict=True):
        record |= {"spec": spec.text, "fingerprint": spec.fingerprint(learner)}
        if names.count(record["learner"]) > 1:
            record["learner"] += f" ({spec.text})"
    append_records(out, records)
    console.print(markdown_table(group(records)), markup=False, highlight=False, soft_wrap=True)
    console.print(f"Records added to {out}. Draw them: gpicl report {out}", highlight=False)
