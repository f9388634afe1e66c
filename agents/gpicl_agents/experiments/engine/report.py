"""The report of an experiment, `report.md`: its description, figures, findings, every trial, and their provenance."""

from pathlib import Path

from gpicl_agents.experiments.engine.experiment import Experiment
from gpicl_agents.experiments.engine.trial import Records, TrialRecord
from gpicl_envs.datasets.files import write_text


def write_page(experiment: Experiment, scale: str, records: Records, folder: Path) -> Path:
    """Draw the figures and write `report.md` into the folder; the same records give the same bytes."""
    done = [record for record in records if record.status == "ok"]
    parts = [f"# {experiment.title} ({scale} scale)", experiment.description]
    if done:
        parts += [f"![{experiment.title}]({name})" for name in experiment.draw(done, folder)]
        parts.append("\n".join(f"- {line}" for line in experiment.findings(done)))
        if experiment.table is not None:
            parts.append(experiment.table(done))
    failed = [f"- {record.trial}: {record.error}" for record in records if record.status != "ok"]
    if failed:
        parts.append("## Failed\n\n" + "\n".join(failed))
    missing = []
    for name in dict.fromkeys(name for record in done for name in record.missing):
        reasons = [record.missing[name] for record in done if name in record.missing]
        missing.append(f"- {name}, in {len(reasons)} of {len(done)} trials: {reasons[0]}")
    if missing:
        parts.append("## Left out\n\n" + "\n".join(missing))
    head = "| trial | learner | parameters | state size | steps | seconds | result |\n|---|---|--:|--:|--:|--:|---|"
    parts.append("\n".join(["## Trials", "", head, *(_row(experiment, record) for record in done)]))
    parts.append(_provenance(done))
    page = folder / "report.md"
    write_text(page, "\n\n".join(parts) + "\n")
    return page


def _row(experiment: Experiment, record: TrialRecord) -> str:
    training = record.training
    cost = [f"{training.steps:,}", f"{training.seconds:.0f}"] if training.steps else ["–", "–"]
    sizes = [f"{record.n_parameters:,}", f"{record.state_size:,}"]
    return f"| {' | '.join([record.trial, record.learner, *sizes, *cost, experiment.result(record)])} |"


def _provenance(done: Records) -> str:
    """The training time in all, and every machine, command, commit and version that the records name."""
    lines = dict.fromkeys(
        f"{made.machine}; {made.command}; commit {made.commit}; "
        + ", ".join(f"{name} {version}" for name, version in made.versions.items())
        for made in (record.provenance for record in done)
    )
    hours = sum(record.training.seconds for record in done) / 3600
    return "\n\n".join(["## Where these numbers come from", f"Total training time: {hours:.2f} h.", *lines])
