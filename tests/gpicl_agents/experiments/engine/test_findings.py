import pytest
from trial_records import query

from gpicl_agents.experiments.engine.findings import (
    at_query,
    axis_values,
    percent,
    points,
    power_of_two,
    seed_interval,
    select,
    tasks_from,
)
from gpicl_agents.experiments.engine.trial import TrialRecord
from gpicl_envs.evaluation.provenance import Provenance
from gpicl_envs.evaluation.records import Estimate


def record(**axes: int) -> TrialRecord:
    nowhere = Provenance("cpu", "", "", "", {})
    return TrialRecord(experiment="", scale="small", trial="", axes=axes, definition="", provenance=nowhere)


RECORDS = [record(n_tasks=2**k, seed=seed) for k in (8, 0, 4) for seed in (0, 1)] + [record(n_tasks=16, width=8)]


def test_records_are_selected_by_their_axes():
    assert select(RECORDS, n_tasks=16, seed=1) == [record(n_tasks=16, seed=1)]
    assert select(RECORDS, width=8) == RECORDS[-1:] and len(select(RECORDS, width=None)) == 6
    assert axis_values(RECORDS, "n_tasks") == [1, 16, 256]


def test_something_holds_from_a_number_of_tasks_on_if_it_does_in_every_run_above():
    assert tasks_from(RECORDS, lambda record: record.axes["n_tasks"] > 4) == "2^4"
    assert tasks_from(RECORDS, lambda record: record.axes["n_tasks"] != 16) == "2^8"
    assert tasks_from(RECORDS, lambda record: record.axes["n_tasks"] < 256) == ""


def test_the_query_is_the_last_position():
    assert at_query(query(0.7)) == Estimate(0.7, 0.7, 0.7)


def test_estimates_in_words():
    estimate = Estimate(0.1234, -0.001, 0.2)
    assert percent(estimate) == "12.3 % [-0.1, 20.0]"
    assert points(estimate) == "+12.3 [-0.1, +20.0]" and points(estimate, decimals=0) == "+12 [-0, +20]"
    assert power_of_two(1) == "2^0" and power_of_two(2**24) == "2^24"


def test_the_interval_over_seeds_is_student_s():
    assert seed_interval([6.0, 8.0]) == pytest.approx((7.0, 7 - 12.706, 7 + 12.706), abs=1e-2)
    assert seed_interval([1.0, 2.0, 3.0]).high == pytest.approx(2 + 4.303 / 3**0.5, abs=1e-3)
