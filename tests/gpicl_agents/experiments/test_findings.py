"""What the pages of the experiments say: made from the committed records, and from records with known answers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpicl_agents.evaluations import NEW_EXAMPLES, Summary
from gpicl_agents.experiments import phases, plateau, state_size
from gpicl_agents.experiments.engine.experiment import NAMES, find_experiment
from gpicl_agents.experiments.engine.report import write_page
from gpicl_agents.experiments.engine.trial import SCHEMA, Training, TrialRecord
from gpicl_envs.evaluation.jsonl import read_jsonl
from gpicl_envs.evaluation.protocol import SEEN_TASK, UNSEEN_TASK
from gpicl_envs.evaluation.provenance import Provenance
from gpicl_envs.evaluation.records import Band, Estimate

ROOT = Path(__file__).parents[3]


def committed(name: str) -> list[TrialRecord]:
    path = ROOT / "benchmarks" / "results" / "experiments" / f"{name}-small.jsonl"
    return read_jsonl(path, TrialRecord, SCHEMA)


def record(axes: dict[str, Any], results: dict[str, Summary], **fields: Any) -> TrialRecord:
    made_here = Provenance("cpu", "a machine", "gpicl experiment", "2026-11-26", {})
    named = {"experiment": "some", "trial": "some trial", "definition": "", "provenance": made_here}
    return TrialRecord(**named | {"scale": "small", "axes": axes, "results": results} | fields)


def result(first: float, final: float, gain: Estimate | None = None) -> Summary:
    """A result without noise, unless the interval of the gain is given."""
    exact = [Estimate(value, value, value) for value in (first, final, final - first)]
    return Summary(512, exact[0], exact[1], gain or exact[2], Band([], [], []))


@pytest.mark.parametrize("name", NAMES)
def test_the_documented_page_is_made_from_the_committed_records(name: str, tmp_path: Path):
    experiment = find_experiment(name)
    found = {record.definition: record for record in committed(name)}
    trials = experiment.trials("small")
    assert found.keys() == {trial.definition for trial in trials}
    page = write_page(experiment, "small", [found[trial.definition] for trial in trials], tmp_path)
    assert page.read_text(encoding="utf-8") == (ROOT / "docs" / "results" / f"{name}.md").read_text(encoding="utf-8")
    assert all(path.stat().st_size > 10_000 for path in tmp_path.glob("*.png"))
    shown = {path.name for path in tmp_path.iterdir() if path.suffix in (".png", ".gif")}
    assert shown and all((ROOT / "docs" / "results" / name).exists() for name in shown)


@pytest.mark.parametrize("name", NAMES)
def test_a_report_is_written_though_a_whole_group_of_trials_failed(name: str, tmp_path: Path):
    experiment, records = find_experiment(name), committed(name)
    for axis in {axis for record in records for axis in record.axes}:
        given = next(record.axes[axis] for record in records if axis in record.axes)
        if all(record.axes.get(axis) == given for record in records):
            continue
        failed = [
            replace(record, status="failed", error="no memory") if record.axes.get(axis) == given else record
            for record in records
        ]
        page = write_page(experiment, "small", failed, tmp_path).read_text(encoding="utf-8")
        assert "no memory" in page and "## Trials" in page


def test_phases_diagnoses_its_committed_records():
    found = find_experiment("phases").findings(committed("phases"))
    assert any("2^4 tasks: **task memorisation**" in line for line in found)
    assert all("general-purpose" in line for line in found if "2^12" in line or "2^24" in line)


def test_bias_counts_runs_that_never_left_and_pairs_by_seed():
    def run(fraction: float, seed: int, left: int | None, gain: float) -> TrialRecord:
        results = {UNSEEN_TASK: result(0, 0, Estimate(gain, gain - 0.05, gain + 0.05))}
        axes = {"permutation_bias": fraction, "seed": seed}
        return record(axes, results, training=Training(steps=1500, plateau_end=left))

    runs = [run(0.0, 0, 1000, 0.1), run(0.0, 1, None, 0.0), run(0.5, 0, 500, 0.2), run(0.5, 1, None, 0.1)]
    lines = find_experiment("bias").findings([*runs, run(0.95, 0, 500, 0.2), run(0.95, 1, 1000, 0.1)])
    unbiased = "left at step 1,000, gain on new tasks +10.0 [+5.0, +15.0]; not left within 1,500 steps"
    assert unbiased in lines[0]
    assert "1 of 2 biased runs never left the plateau" in lines[3]
    last = "when the last biased run left the plateau, at step 1,000, 1 of 2 runs without bias were still on it"
    assert last in lines[4]
    assert "gain on new tasks differs by +10.0 [+10.0, +10.0] points (paired by seed, n = 2)" in lines[4]


def test_what_goes_with_the_gain_over_architectures():
    """Gains in the order of the states, parameters in an order that has nothing to do with it."""
    parameters = [3, 8, 5, 1, 6, 2, 7, 4]
    records = [
        record(
            {"series": state_size.ALL, "learner": f"model-{i}", "seed": seed},
            {UNSEEN_TASK: result(0, 0, Estimate(0.05 * i + 0.01 * seed, 0.0, 1.0))},
            learner=f"model-{i}",
            state_size=10**i,
            n_parameters=parameters[i],
        )
        for i in range(8)
        for seed in range(2)
    ]
    (line, *_) = state_size.findings(records)
    ranks = 1 - 6 * sum((i + 1 - rank) ** 2 for i, rank in enumerate(parameters)) / (8 * 63)  # Spearman 1904
    assert "state size +1.00 (p = 0.000; without any two of them +1.00 to +1.00)" in line
    assert f"parameters {ranks:+.2f} (p = " in line
    assert "correlation" not in state_size.findings(records[:8])[0]  # four architectures say too little


def phase_record(n_tasks: int, seed: int, seen: tuple[float, float], unseen: tuple[float, float]) -> TrialRecord:
    results = {SEEN_TASK: result(*seen), NEW_EXAMPLES: result(*seen), UNSEEN_TASK: result(*unseen)}
    return record({"n_tasks": n_tasks, "seed": seed}, results)


def test_phases_shows_seeds_that_disagree_apart():
    memorised, identifies = ((0.98, 0.99), (0.1, 0.1)), ((0.6, 0.9), (0.1, 0.1))
    learns = ((0.1, 0.7), (0.1, 0.6))
    records = [phase_record(16, seed, *row) for seed, row in enumerate((identifies, memorised))]
    records += [phase_record(64, seed, *learns) for seed in range(2)]
    disagree, agree, always = phases.findings(records)
    assert "2^4 tasks: **task memorisation / instance memorisation**" in disagree
    assert disagree.count("first example") == 1 and "98 % correct" in disagree
    assert "2^6 tasks: **general-purpose learning** (accuracy on unseen tasks: 60 %, 60 %)" in agree
    assert "from 2^6 tasks on" in always


def plateau_record(series: str, value: float, left: int | None, gains: bool = True) -> TrialRecord:
    axes = {"series": series, "value": value, "seed": 0}
    results = {UNSEEN_TASK: result(0, 0, Estimate(0.1, 0.09 * gains, 0.2))}
    return record(axes, results, training=Training(steps=1500, plateau_end=left))


def test_plateau_finds_the_exponent_that_is_there_and_no_law_where_none_can_be():
    records = [plateau_record(plateau.BATCH, b, 6400 // b) for b in (8, 16, 32, 64)]
    records += [plateau_record(plateau.TASKS, n, 10, gains=False) for n in (2**5, 2**6)]  # task memorisation
    records += [plateau_record(plateau.TASKS, n, int(2 * n**0.5)) for n in (2**8, 2**12, 2**24)]
    records += [plateau_record(plateau.EPS, eps, 100) for eps in plateau.OTHERS[plateau.EPS]]
    batch, tasks, eps = plateau.findings(records)
    assert "setting^-1.00 [-1.00, -1.00], from each setting to the next -1.00, -1.00, -1.00" in batch
    assert "setting^+0.50 [+0.50, +0.50], from each setting to the next +0.50, +0.50" in tasks
    assert "10 (seen tasks only)" in tasks and "length" not in eps
