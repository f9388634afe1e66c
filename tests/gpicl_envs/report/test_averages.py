from dataclasses import replace

import pytest
from small_records import failed_record, scored_record

from gpicl_envs.report import group
from gpicl_envs.report.averages import AVERAGES, averages


def column(k: int, learner: str, scores: list[int]):
    return replace(scored_record(scores), env=f"GPICL-{k}-v0", learner=learner)


def test_the_best_mean_is_named_and_the_others_are_compared_to_it_pair_by_pair():
    better = [column(k, "better", [k, k + 2] * 20) for k in range(4)]
    worse = [column(k, "worse", [k, k + 1] * 20) for k in range(4)]
    found = averages(group([*better, *worse]))
    assert len(AVERAGES) == len(found["better"]) == 2
    assert found["better"][0].note == "best" and found["better"][0].value == pytest.approx(25)
    assert found["worse"][0].text.startswith("20.0 ± ") and found["worse"][0].note.startswith("-5.0 [")
    assert found["worse"][0].note.split("[")[1].startswith("-")


def test_a_learner_that_lacks_a_score_has_no_average_and_the_oracle_is_not_the_best():
    known = [replace(column(k, "oracle", [9, 9]), spec="oracle") for k in range(4)]
    fair = [column(k, "fair", [5, 6]) for k in range(4)]
    failing = [column(k, "failing", [7, 7]) for k in range(3)]
    failing.append(failed_record(column(3, "failing", [7, 7]), "no memory"))
    found = averages(group([*known, *fair, *failing]))
    assert set(found) == {"oracle", "fair"}
    assert found["fair"][0].note == "best" and found["oracle"][0].note == "knows the task"
    assert averages(group([*known[:3], *fair[:3]])) == {}
