from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm, permutation_test, trim_mean
from small_records import scored_record as record

from gpicl_envs.evaluation import comparisons
from gpicl_envs.evaluation.comparisons import (
    best,
    best_baseline,
    compare,
    corrected_p_values,
    holm,
    interquartile_mean,
    mean_difference,
    mean_final,
    p_value,
    pareto_front,
    regret,
)
from gpicl_envs.evaluation.records import Estimate


def test_the_sign_flip_test_is_scipy_s():
    generator = np.random.default_rng(0)
    a, b = generator.binomial(10, 0.62, 60), generator.binomial(10, 0.58, 60)
    expected = permutation_test((a - b,), np.mean, permutation_type="samples", n_resamples=20_000, rng=1).pvalue
    assert p_value(record(a), record(b)) == pytest.approx(expected, abs=0.02)


def test_more_different_sizes_than_fit_into_memory_at_once_change_nothing():
    """Flips are drawn in blocks; with 1,000 sizes the sum is nearly normal."""
    difference = np.random.default_rng(3).normal(0.03, 1, 1000)
    a, b = (record(values, metric="squared_error") for values in (5 + difference, np.full(1000, 5.0)))
    expected = 2 * norm.sf(abs(difference.sum()) / np.linalg.norm(difference))
    assert p_value(a, b) == pytest.approx(expected, abs=0.02)
    assert p_value(a, b) == p_value(a, b, seed=0) != p_value(a, b, seed=1)


def test_equal_learners_have_a_p_of_one_however_many_blocks_there_are(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(comparisons, "BLOCK", 7)  # flips in memory at a time, so that the last block is a short one
    a = record(np.arange(40) % 10)
    assert p_value(a, a) == 1.0


def test_without_a_difference_p_is_uniform():
    generator = np.random.default_rng(1)
    values = [
        p_value(record(generator.binomial(10, 0.5, 40)), record(generator.binomial(10, 0.5, 40)), seed=trial)
        for trial in range(200)
    ]
    assert np.mean(np.array(values) <= 0.1) == pytest.approx(0.1, abs=0.06)
    assert np.mean(values) == pytest.approx(0.5, abs=0.07)


@pytest.mark.parametrize("others", [1, 2, 3])
def test_p_is_corrected_for_all_pairs_of_the_column(others: int):
    """The best one was found on the same episodes, so that any pair could have been compared."""
    generator = np.random.default_rng(2)
    top = record(generator.binomial(10, 0.8, 60), learner="top")
    compared = [record(generator.binomial(10, 0.75, 60), learner=str(i)) for i in range(others)]
    found = corrected_p_values([top, *compared])
    alone = {one.learner: p_value(one, top) for one in compared}
    smallest = min(alone, key=lambda name: alone[name])
    assert found[smallest] == pytest.approx(min(1.0, alone[smallest] * {1: 1, 2: 3, 3: 6}[others]))


def test_episodes_of_one_task_are_one_observation():
    """Six tasks that all differ alike: p cannot be below 2 / 2^6, however many episodes each has."""
    a, b = record(np.full(600, 7)), record(np.full(600, 5))
    tasks = np.repeat(np.arange(6), 100).tolist()
    assert p_value(replace(a, task_id=tasks), replace(b, task_id=tasks)) == pytest.approx(2 / 64, abs=0.01)
    assert p_value(a, b) == 1e-4


def test_holm_corrects_as_in_the_textbook():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
    assert holm([0.01, 0.04], count=6) == pytest.approx([0.06, 0.2])


def test_of_equal_learners_the_luckiest_is_rarely_significantly_better():
    """The best is chosen in the data that test it: over all pairs the error stays below 5 % (12 % over k - 1 tests)."""
    generator, wrong = np.random.default_rng(0), 0
    for _ in range(60):
        rows = [record(generator.integers(0, 11, 100), learner=str(i)) for i in range(8)]
        wrong += min(corrected_p_values(rows).values()) < 0.05
    assert wrong <= 6


def test_the_oracle_is_never_the_best_and_errors_are_better_if_smaller():
    good, better = record([5, 6]), record([7, 8], learner="b", n_parameters=9)
    oracle = record([10, 10], learner="oracle", spec="oracle")
    assert best([good, better, oracle]) is better and best_baseline([good, better, oracle]) is good
    assert list(corrected_p_values([good, better, oracle])) == ["a"]
    small, large = record([1.5, 1.5], metric="squared_error"), record([9.5, 9.5], learner="b", metric="squared_error")
    assert best([small, large]) is small


def test_the_pareto_front_is_what_no_other_is_both_as_cheap_and_as_good_as():
    def made(name: str, cost: float, right: float, **changes):
        return record((right, right), learner=name, wall_seconds=cost, **changes)

    def front(*records) -> str:
        return "".join(each.learner for each in pareto_front(records, lambda each: each.wall_seconds or None))

    a, b, c, d = made("a", 1, 3), made("b", 2, 5), made("c", 3, 5), made("d", 4, 9)
    assert front(d, c, b, a) == "abd" and front() == "" and front(c) == "c"
    assert front(a, made("x", 1, 3)) == "ax" and front(a, made("x", 1, 4)) == "x" and front(b, made("x", 1, 5)) == "x"
    assert front(a, made("o", 0.5, 9, spec="oracle"), made("u", 0, 9)) == "a"  # known and unknown
    errors = [replace(each, metric="squared_error") for each in (a, b, c, d)]
    assert front(*errors) == "a"


def test_regret_counts_the_correct_predictions_lost_over_an_episode():
    assert regret(record([4, 6]), record([7, 7])).mean == pytest.approx(6)
    small, large = record([1.0, 2.0], metric="squared_error"), record([3.0, 4.0], metric="squared_error")
    assert regret(large, small).mean == pytest.approx(6)


def test_the_interquartile_mean_leaves_out_a_quarter_at_each_end():
    generator = np.random.default_rng(2)
    rows = [record(generator.binomial(10, p, 400)) for p in (0.1, 0.5, 0.6, 0.95)]
    mean, low, high = interquartile_mean(rows)
    assert mean == pytest.approx(trim_mean([row.final.mean for row in rows], 0.25)) == pytest.approx(0.55, abs=0.02)
    std = (0.25 / 4000 + 0.24 / 4000) ** 0.5 / 2
    assert high - low == pytest.approx(2 * 1.96 * std, rel=0.15)


def test_learners_that_score_alike_in_a_few_episodes_are_not_known_to_be_equal():
    """Sixteen episodes without a difference say nothing of differences below 1 / 16."""
    mean, low, high = compare(record([9] * 16), record([9] * 16))
    assert mean == 0 and low == pytest.approx(-high, abs=1e-6) and 0.01 < high < 0.05
    one = record([9], final_positions=10)
    assert compare(one, one) == (0, -1, 1)


def test_the_differences_of_a_few_tasks_are_less_sure_than_those_of_as_many_episodes():
    generator = np.random.default_rng(3)
    a, b = (record(generator.binomial(10, p, 64)) for p in (0.7, 0.6))
    tasks = (np.arange(64) % 4).tolist()
    widths = [high - low for _, low, high in (compare(a, b), compare(replace(a, task_id=tasks), b))]
    assert widths[1] > widths[0]


def test_the_interquartile_mean_of_four_perfect_learners_is_not_a_point():
    mean, low, high = interquartile_mean([record([10] * 32)] * 4)
    assert mean == 1 and low < 0.999 < high


def test_the_mean_difference_is_as_sure_as_the_differences_of_all_datasets_together():
    """Of four datasets whose differences vary alike, half as wide as that of one."""
    generator = np.random.default_rng(5)
    ours, others = ([record(generator.binomial(10, p, 900)) for _ in range(4)] for p in (0.7, 0.6))
    mean, low, high = mean_difference(ours, others)
    each = [compare(*pair) for pair in zip(ours, others, strict=True)]
    assert mean == pytest.approx(np.mean([one[0] for one in each])) and low < 0.1 < high
    assert high - low == pytest.approx(np.mean([one[2] - one[1] for one in each]) / 2, rel=0.02)
    wide = [replace(one, final=Estimate(one.final.mean, one.final.mean - 0.02, one.final.mean + 0.04)) for one in ours]
    mean = np.mean([one.final.mean for one in ours])
    assert mean_final(wide) == pytest.approx((mean, mean - 0.01, mean + 0.02))


def test_pairing_over_datasets_removes_what_both_learners_share():
    generator = np.random.default_rng(6)
    shared = [generator.binomial(10, p, 200) for p in (0.2, 0.5, 0.7, 0.9)]
    a, b = ([record(np.minimum(scores + step, 10)) for scores in shared] for step in (1, 0))
    mean, low, high = mean_difference(a, b)
    assert 0.07 < low < mean < high < 0.11
    shuffled = [record(generator.permutation(scores)) for scores in shared]
    assert high - low < np.subtract(*mean_difference(a, shuffled)[:0:-1]) / 2


def test_records_of_other_episodes_are_not_compared():
    one, other = record((5, 6)), replace(record((7, 8), learner="b"), seed=1)
    for compared in (compare, regret, p_value):
        with pytest.raises(ValueError, match="not evaluated on the same episodes: seed is 0 and 1"):
            compared(one, other)
