from dataclasses import replace

import numpy as np
import pytest
from small_records import failed_record, scored_record, suite_record

from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.evaluation.provenance import Provenance
from gpicl_envs.evaluation.records import Record, ScoredRecord, SuiteClaim
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.report import compare, group, learners, merge
from gpicl_envs.suites.definitions import find_suite
from gpicl_envs.tasks.classification import TaskDistribution
from gpicl_envs.tasks.regression import FunctionDistribution


def test_the_best_comes_first_and_differences_are_paired(records: list[ScoredRecord]):
    columns = group(records)
    assert list(columns) == ["Digits, unseen-task", "Clusters, unseen-dataset"]
    best, second = columns["Digits, unseen-task"][:2]
    assert best.final.mean >= second.final.mean and learners(columns)[0] == best.learner
    mean, low, high = compare(second, best)
    difference = (np.array(second.final_scores) - np.array(best.final_scores)) / 10
    assert mean == pytest.approx(difference.mean()) and low < mean < high
    assert high - low == pytest.approx(2 * 1.96 * difference.std() / 40**0.5, rel=0.25)
    assert compare(best, best)[0] == 0


def test_failed_records_come_last_and_their_arguments_do_not_count():
    good = scored_record()
    broken = replace(failed_record(scored_record(learner="b"), "no"), env_kwargs={}, seed=3)
    assert group([broken, good]) == {"Digits, unseen-task": [good, broken]}
    with pytest.raises(ValueError, match="There are no records to report"):
        group([])


def test_different_episodes_are_not_put_side_by_side(records: list[ScoredRecord]):
    other = replace(records[1], seed=99)
    with pytest.raises(ValueError, match=r"Digits, unseen-task were made on different episodes \(seed=0 and 99\)"):
        group([records[0], other])


def test_a_later_record_replaces_an_earlier_one(records: list[ScoredRecord]):
    newer = replace(records[0], wall_seconds=0.123)
    assert group([records[0], newer])["Digits, unseen-task"] == [newer]


def test_files_of_several_machines_join_and_conflicts_are_refused():
    mine, other = suite_record("a"), suite_record("b")
    assert [record.learner for record in merge({"x": [mine], "y": [other, mine]})] == ["a", "b"]
    newer = suite_record("a", provenance=Provenance("cpu", machine="another", date="2026-02-01"))
    assert merge({"x": [mine, failed_record(mine, "later")], "y": [newer]}) == [newer]
    assert merge({"x": [newer], "y": [mine]}) == [newer]
    with pytest.raises(ValueError, match="x and y have different learners of the name 'a' in MNIST, unseen-task"):
        merge({"x": [mine], "y": [replace(newer, fingerprint="others")]})
    assert mine.suite is not None
    with pytest.raises(ValueError, match="record of a in gpicl-table1, MNIST, was made with another definition"):
        merge({"x": [replace(mine, suite=replace(mine.suite, definition="0" * 64))]})
    with pytest.raises(ValueError, match="different episodes.*data="):
        group(merge({"x": [mine], "y": [replace(other, data="other images")]}))


def test_a_failure_stays_until_there_is_a_score():
    mine, other = suite_record("a"), suite_record("b")
    broken = failed_record(other, "no memory")
    assert merge({"x": [mine, broken]}) == [mine, broken]
    assert merge({"x": [mine, broken], "y": [other]}) == [mine, other]


def test_one_name_is_one_learner_and_one_table_is_one_suite(records: list[ScoredRecord]):
    mine = suite_record("a")
    fashion = find_suite("gpicl-table1").cell("FashionMNIST")
    there = SuiteClaim("gpicl-table1", fashion.name, fashion.definition)
    elsewhere = replace(mine, suite=there, env=fashion.env, protocol=fashion.protocol)
    assert len(merge({"x": [mine, elsewhere]})) == 2
    with pytest.raises(ValueError, match="x has two learners of the name 'a': in MNIST.*FashionMNIST"):
        merge({"x": [mine, replace(elsewhere, fingerprint="edited")]})
    with pytest.raises(ValueError, match="suites gpicl-mini and gpicl-table1: report each alone"):
        merge({"x": [mine], "y": [suite_record("a", suite="gpicl-mini")]})
    with pytest.raises(ValueError, match="has length=200, but the cell has 100"):
        merge({"x": [replace(mine, env_kwargs=mine.env_kwargs | {"length": 200})]})
    plain = scored_record((5, 6))
    with pytest.raises(ValueError, match="different learners of the name"):
        merge({"x": [plain], "y": [scored_record((6, 5))]})


def without(record: ScoredRecord, *names: str) -> ScoredRecord:
    """As if it had been made before these arguments existed."""
    return replace(record, env_kwargs={name: value for name, value in record.env_kwargs.items() if name not in names})


CLASSIFICATION, REGRESSION = {"split": "test", "length": 12}, {"length": 12, "n_features": 3}


@pytest.mark.parametrize(
    ("tasks", "names"),
    [
        (TaskDistribution("Digits", **CLASSIFICATION), ("label_noise", "drift", "shots", "class_imbalance")),
        (FunctionDistribution("LinearRegression", **REGRESSION), ("noise", "drift_every", "task_seed")),
    ],
)
def test_an_argument_that_a_record_does_not_have_reads_as_its_default(tasks, names: tuple[str, ...]):
    """Records made before and after the argument was added join, in both orders; other values do not."""
    learner = make_learner("knn", n_features=tasks.n_features, n_classes=tasks.n_classes)
    new = replace(evaluate(learner, tasks, episodes=2).record(), learner="new")
    old = replace(without(new, *names), learner="old")
    assert set(names) == new.env_kwargs.keys() - old.env_kwargs.keys()
    other = replace(new, learner="other", env_kwargs=new.env_kwargs | {names[0]: 0.3})
    for records in ([old, new], [new, old]):
        ((title, column),) = group(records).items()
        assert {record.learner for record in column} == {"old", "new"}
        assert all(isinstance(record, ScoredRecord) and record.env_kwargs == new.env_kwargs for record in column)
        assert len(merge({"x": records[:1], "y": records[1:]})) == 2
    same: list[list[Record]] = [[new, replace(old, learner="new")], [replace(old, learner="new"), new]]
    for one, two in same:  # one learner on the same episodes: it counts once
        assert len(merge({"x": [one], "y": [two]})) == len(merge({"x": [one, two]})) == 1
    for records in ([old, other], [other, old]):
        with pytest.raises(ValueError, match=f"different episodes .*{names[0]}=0.* and 0"):
            group(records)


def test_an_argument_that_no_longer_exists_must_be_the_same():
    old, new = scored_record(env_kwargs={"length": 30, "gone": 3}), scored_record(learner="b")
    for records in ([old, new], [new, old]):
        with pytest.raises(ValueError, match="different episodes .*gone="):
            group(records)
    assert len(group([old, replace(new, env_kwargs=old.env_kwargs)])) == 1
