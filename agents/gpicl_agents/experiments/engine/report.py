"""The report of an experiment, `report.md`: the question, the figures, the findings, every trial, and its cost."""

from collections.abc import Sequence
from pathlib import Path

from gpicl_agents.experiments.engine.experiment import Experiment, Record


def write_page(experiment: Experiment, scale: str, records: Sequence[Record], folder: Path) -> Path:
    """Draw the figures and write `report.md` into the folder; the same records give the same bytes."""
    done = [record for record in records if record["status"] == "ok"]
    parts = [f"# {experiment.title} ({scale} scale)", experiment.question]
    if done:
        figures = experiment.draw(done, folder)
        parts += [f"![{experiment.title}]({name})" for name in figures if not name.endswith(".svg")]
        parts.append("\n".join(f"- {line}" for line in experiment.findings(done)))
        if experiment.table is not None:
            parts.append(experiment.table(done))
    failed = [f"- {record['trial']}: {record['error']}" for record in records if record["status"] != "ok"]
    if failed:
        parts.append("## Failed\n\n" + "\n".join(failed))
    missing: dict[str, list[str]] = {}
    for record in done:
        for name, reason in record["missing"].items():
            missing.setdefault(name, []).append(reason)
    if missing:
        lines = [f"- {name}, in {len(why)} of {len(done)} trials: {why[0]}" for name, why in missing.items()]
        parts.append("## Left out\n\n" + "\n".join(lines))
    parts.append("## Trials\n\n" + "\n".join([*_head(), *(_row(experiment, record) for record in done)]))
    parts.append(_provenance(done))
    page = folder / "report.md"
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return page


def _head() -> list[str]:
    return ["| trial | learner | parameters | state | steps | seconds | result |", "|---|---|--:|--:|--:|--:|---|"]


def _row(experiment: Experiment, record: Record) -> str:
    trained = [f"{record['steps']:,}", f"{record['seconds']:.0f}"] if "steps" in record else ["–", "–"]
    sizes = [f"{record['n_parameters']:,}", f"{record['state_size']:,}"]
    return f"| {' | '.join([record['trial'], record['learner'], *sizes, *trained, experiment.line(record)])} |"


def _provenance(done: Sequence[Record]) -> str:
    """Where the numbers come from: machine, command, commit, versions, and the training time in all."""
    lines = dict.fromkeys(
        f"{record['machine']}; {record['command']}; commit {record['commit']}; "
        + ", ".join(f"{name} {version}" for name, version in record["versions"].items())
        for record in done
    )
    hours = sum(record.get("seconds", 0.0) for record in done) / 3600
    return "\n\n".join(["## Where these numbers come from", f"Training time in these trials: {hours:.2f} h.", *lines])
