"""Records of trials that tests of experiments share: those committed, and ones with known answers."""

from pathlib import Path
from typing import Any

from gpicl_agents.evaluations import Summary
from gpicl_agents.experiments.engine.trial import SCHEMA, TrialRecord
from gpicl_envs.evaluation.jsonl import read_jsonl
from gpicl_envs.evaluation.provenance import Provenance
from gpicl_envs.evaluation.records import Band, Estimate

ROOT = Path(__file__).parents[1]


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


def query(accuracy: float) -> Summary:
    """A result of episodes of two positions, of which the last is the query, without noise."""
    exact = Estimate(accuracy, accuracy, accuracy)
    return Summary(512, Estimate(0, 0, 0), exact, exact, Band(*[[0.0, accuracy]] * 3))
