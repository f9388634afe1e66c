"""What the findings of several experiments share: selecting records, and putting their numbers into words."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats

from gpicl_agents.evaluations import Summary
from gpicl_agents.experiments.engine.trial import Records, TrialRecord
from gpicl_envs.evaluation.protocol import UNSEEN_TASK
from gpicl_envs.evaluation.records import Estimate


def select(records: Records, **axes: Any) -> list[TrialRecord]:
    """Return the records of trials with these values; None also stands for a trial without the axis."""
    return [record for record in records if all(record.axes.get(axis) == value for axis, value in axes.items())]


def axis_values(records: Records, axis: str) -> list[Any]:
    """Return the distinct values of an axis, in ascending order."""
    return sorted({record.axes[axis] for record in records})


def unseen_gain(record: TrialRecord) -> Estimate:
    """Return the gain in accuracy within an episode of unseen tasks."""
    return record.results[UNSEEN_TASK].gain


def seed_interval(values: Sequence[float]) -> Estimate:
    """Return the mean of one value per seed, of at least two, with Student's 95 % interval."""
    mean, reach = float(np.mean(values)), float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))
    return Estimate(mean, mean - reach, mean + reach)


def at_query(summary: Summary) -> Estimate:
    """Return the accuracy at the last position."""
    return Estimate(*(values[-1] for values in summary.accuracy))


def percent(estimate: Estimate) -> str:
    """Such as `73.1 % [70.4, 75.7]`, from fractions."""
    return "{:.1f} % [{:.1f}, {:.1f}]".format(*(100 * value for value in estimate))


def points(estimate: Estimate, decimals: int = 1) -> str:
    """Such as `+10.1 [+8.9, +11.3]`: a difference of accuracies in percentage points, from fractions."""
    return "{:+.{d}f} [{:+.{d}f}, {:+.{d}f}]".format(*(100 * value for value in estimate), d=decimals)


def final_accuracies(record: TrialRecord, decimals: int = 0) -> str:
    """Return the accuracy over the last ten positions, for each evaluation of a trial."""
    return ", ".join(f"{name} {100 * result.final.mean:.{decimals}f} %" for name, result in record.results.items())


def power_of_two(number: int) -> str:
    """Such as `2^12`."""
    return f"2^{number.bit_length() - 1}"


def tasks_from(records: Records, holds: Callable[[TrialRecord], bool]) -> str:
    """Return the number of tasks from which on something holds in every run, such as `2^8`; empty if there is none."""
    exceptions = [record.axes["n_tasks"] for record in records if not holds(record)]
    above = [n for n in axis_values(records, "n_tasks") if n > max(exceptions, default=0)]
    return power_of_two(above[0]) if above else ""
