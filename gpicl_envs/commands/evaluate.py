"""`gpicl evaluate`: learners on the same episodes, as a table and as records."""

import secrets
import shlex
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro

from gpicl_envs.commands.arguments import Assignments, one_line_errors, show, show_progress
from gpicl_envs.errors import check_integer
from gpicl_envs.evaluation.jsonl import append_jsonl
from gpicl_envs.evaluation.provenance import command_line
from gpicl_envs.evaluation.records import Record, distinct_names, read_records, valid_or_failed
from gpicl_envs.learners.registry import LearnerSpec, parse_assignments
from gpicl_envs.registration import find_environment


def evaluate(
    learners: Annotated[Sequence[str], tyro.conf.arg(aliases=["--learner"])],
    env: str = "GPICL-MNIST-v0",
    protocol: Literal["seen-task", "unseen-task", "unseen-dataset"] = "unseen-task",
    env_kwargs: Assignments = (),
    episodes: int = 1024,
    seed: int | Literal["private"] = 0,
    batch_size: int = 16,
    device: str = "cpu",
    out: Path = Path("runs/records.jsonl"),
) -> None:
    """Evaluate learners on the same episodes, print the table, and keep the records.

    Every learner passes `gpicl check` first: one that sees the future gets no score.

    Example: `gpicl evaluate --learners my_agent:MyAgent knn --env GPICL-Digits-v0 --protocol unseen-dataset`.

    Args:
        learners: registered names, module:Class, checkpoint folders, or pretrained:NAME.
        env: environment id.
        protocol: tasks of meta-training (train images), new tasks on test images, or a new dataset.
        env_kwargs: arguments that define the tasks, such as length=50 label_noise=0.1 (not action or feedback).
        episodes: episodes for each learner.
        seed: of the episodes; private for one that nobody knows before the records are written, for contests.
        batch_size: episodes at a time.
        device: cpu or cuda.
        out: file to which the records are added.
    """
    from gpicl_envs.report import group, markdown_table

    check_integer("episodes", episodes, 1)
    seed = _private_seed() if seed == "private" else check_integer("seed", seed, 0)
    tasks = _make_tasks(env, protocol, parse_assignments(env_kwargs), device)
    append_jsonl(out, [])  # if nothing can be written, this fails now and not after the evaluation
    records = _evaluate(learners, tasks, episodes=episodes, seed=seed, protocol=protocol, batch_size=batch_size)
    show(markdown_table(group(records)))
    append_jsonl(out, records)
    show(_what_next(out))


def _private_seed() -> int:
    """A seed from the operating system's randomness; its sha256 is shown, to prove later that it was not chosen."""
    seed = secrets.randbits(63)  # as many as JSON keeps
    digest = sha256(str(seed).encode()).hexdigest()
    show(f"The seed is private until the records hold it. The sha256 of its decimal digits: {digest}")
    return seed


def _evaluate(specs: Sequence[str], tasks: Any, **options: Any) -> list[Record]:
    """The records of the learners, under distinct names."""
    from gpicl_envs.evaluation.evaluate import evaluate_all

    made = {spec: _make_checked(spec, tasks) for spec in dict.fromkeys(specs)}
    names = distinct_names({spec: learner.name for spec, learner in made.items()})
    records: list[Record] = []
    with one_line_errors("A learner"):
        curves = evaluate_all(list(made.values()), tasks, **options)
    for curve, spec in zip(curves, made, strict=True):
        fingerprint = LearnerSpec.parse(spec).fingerprint(made[spec])
        with np.errstate(all="ignore"):  # an infinite error has no interval, and becomes a failed record
            record = curve.record(command_line())
        record = replace(record, learner=names[spec], spec=spec, fingerprint=fingerprint)
        records.append(valid_or_failed(record))
    return records


def _what_next(out: Path) -> str:
    """Where the records are, and what can be done with that file."""
    from gpicl_envs.report import group, merge

    try:
        group(merge({str(out): read_records(out)}))
    except ValueError as error:
        return f"Records added to {out}, which `gpicl report` refuses as a whole, for its earlier records: {error}"
    return f"Records added to {out}. To draw them: {shlex.join(['gpicl', 'report', str(out)])}"


def _make_tasks(env: str, protocol: str, env_kwargs: dict[str, Any], device: str) -> Any:
    """The tasks of a protocol, which decides which images they show."""
    from gpicl_envs.tasks import make_tasks

    if "split" in env_kwargs:
        raise ValueError("The protocol decides which images are shown: give --protocol, not split in --env-kwargs.")
    split = "train" if protocol == "seen-task" else "test"
    return make_tasks(**find_environment(env).arguments | {"split": split, "device": device} | env_kwargs)


def _make_checked(spec: str, tasks: Any) -> Any:
    """A learner that fits the tasks and has passed its check; the oracle needs none."""
    from gpicl_envs.learners.check import check_learner, check_length
    from gpicl_envs.tasks.oracle import Oracle

    with one_line_errors(spec):
        learner = LearnerSpec.parse(spec).make_for(tasks)
        if not isinstance(learner, Oracle):
            check_learner(learner, length=max(2, min(tasks.length, 100)), report=show_progress)
            if tasks.length > 100:
                check_length(learner, tasks.length)
    return learner
