"""`gpicl evaluate-rl`: players on the same in-context RL problems, as a table, records and a page."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro

from gpicl_envs.commands.arguments import Assignments, one_line_errors, show
from gpicl_envs.errors import check_integer
from gpicl_envs.evaluation.jsonl import append_jsonl
from gpicl_envs.evaluation.provenance import command_line
from gpicl_envs.evaluation.records import Record, distinct_names
from gpicl_envs.evaluation.return_records import read_return_records
from gpicl_envs.learners.registry import parse_assignments
from gpicl_envs.registration import find_rl_environment


def evaluate_rl(
    players: Annotated[Sequence[str], tyro.conf.arg(aliases=["--player"])],
    env: str = "GPICL-Bandit-v0",
    protocol: Literal["seen-task", "unseen-task"] = "unseen-task",
    env_kwargs: Assignments = (),
    problems: int = 1000,
    seed: int = 0,
    device: str = "cpu",
    out: Path = Path("runs/rl"),
) -> None:
    """Evaluate players of in-context RL on the same problems; print the table, and write the records and a page.

    Every action is checked, and the first steps are played twice: a player that acts differently then gets no score.

    Example: `gpicl evaluate-rl --players uniform thompson-sampling runs/bandit --env GPICL-Bandit-v0`.

    Args:
        players: names, module:Class of a gpicl_envs.Player, folders of trained agents, or pretrained:NAME.
        env: environment id, such as GPICL-Bandit-v0.
        protocol: tasks of meta-training, or new ones.
        env_kwargs: arguments that define the problems, such as n_arms=10 length=500.
        problems: problems for each player.
        seed: of the problems and the players.
        device: cpu or cuda.
        out: folder for records.jsonl, to which records are added, and the page.
    """
    from gpicl_envs.report import merge
    from gpicl_envs.report.returns import returns_markdown, write_returns_report

    check_integer("problems", problems, 2, why="one has no interval")
    made, path = _make_problems(env, protocol, parse_assignments(env_kwargs), device), out / "records.jsonl"
    append_jsonl(path, [])  # if nothing can be written, this fails now and not after the evaluation
    records = _evaluate(players, made, problems=problems, seed=seed, protocol=protocol)
    append_jsonl(path, records)
    show(returns_markdown(records))
    title = "In-context reinforcement learning"
    try:
        page = write_returns_report(merge({str(path): read_return_records(path)}), out, title=title)
    except ValueError as error:  # records of another seed or other arguments were there
        page = write_returns_report(records, out, title=title)
        show(f"The report has these records alone, as they cannot be compared with the earlier ones of {path}: {error}")
    show(f"Records: {path}. The report: {page}")


def _make_problems(env: str, protocol: str, env_kwargs: dict[str, Any], device: str) -> Any:
    """The problems of a protocol, which decides the split."""
    from gpicl_envs.rl.kinds import make_problems

    if "split" in env_kwargs:
        raise ValueError("The protocol decides the split: give --protocol, not split in --env-kwargs.")
    split = "train" if protocol == "seen-task" else "test"
    return make_problems(**find_rl_environment(env).arguments | {"split": split, "device": device} | env_kwargs)


def _evaluate(specs: Sequence[str], made: Any, **options: Any) -> list[Record]:
    """The records of the players, under distinct names."""
    from gpicl_envs.rl.evaluate import evaluate_players
    from gpicl_envs.rl.players.find import find_player

    found = {}
    for spec in dict.fromkeys(specs):
        with one_line_errors(spec):
            found[spec] = find_player(spec, made)
    names = distinct_names({spec: player.name for spec, (player, _) in found.items()})
    records: list[Record] = []
    for spec, (player, fingerprint) in found.items():
        with one_line_errors(spec), np.errstate(all="ignore"):
            (curve,) = evaluate_players([player], made, **options)
            record = curve.record(command_line())
        records.append(replace(record, learner=names[spec], spec=spec, fingerprint=fingerprint))
    return records
