from fractions import Fraction

import numpy as np
import pytest

from gpicl_envs.evaluation import metrics
from gpicl_envs.evaluation.metrics import (
    calibration_error,
    columns,
    examples_to,
    percentile_interval,
    resampled_means,
    return_metrics,
)

KNOWN = [277.75, 172.0, 503.5, 275.5]


def test_the_resamples_of_clustered_episodes_spread_as_their_tasks_do():
    """20 tasks of 50 episodes that all score alike carry the information of 20 episodes, not of 1,000."""
    of_task = np.random.default_rng(2).normal(size=20)
    tasks = np.repeat(np.arange(20), 50)
    clustered, few, naive = (
        resampled_means(*pair).std() for pair in ((of_task[tasks], tasks), (of_task,), (of_task[tasks],))
    )
    assert clustered == pytest.approx(few, rel=0.15) and clustered > 4 * naive


def test_the_percentiles_are_those_of_the_normal_approximation():
    values = np.random.default_rng(1).normal(3.0, 2.0, size=1000)
    interval = percentile_interval(values.mean(), resampled_means(values))
    assert interval.mean == values.mean()
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * values.std() / 1000**0.5, rel=0.1)


def test_the_same_seed_gives_the_same_resamples():
    values = np.random.default_rng(5).random(50)
    first, again, other = (resampled_means(values, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert np.array_equal(resampled_means(values), resampled_means(values, seed=0))


def test_no_episodes_no_resamples():
    with pytest.raises(ValueError, match="at least one"):
        resampled_means([])


def test_the_resamples_do_not_depend_on_how_many_are_in_memory(monkeypatch: pytest.MonkeyPatch):
    values, tasks = np.random.default_rng(6).random((60, 3)), np.arange(60) // 4
    whole = resampled_means(values, tasks)
    monkeypatch.setattr(metrics, "BLOCK", 500)
    assert np.allclose(resampled_means(values, tasks), whole)


def test_examples_to_a_level_counts_those_seen_before_it():
    curves = np.array([[0.1, 0.4, 0.6, 0.4, 0.9], [0.1, 0.2, 0.3, 0.2, 0.1]])
    assert examples_to(curves, 0.5).tolist() == [2, np.inf]


def test_a_noisy_curve_does_not_cross_a_level_long_before_the_true_one():
    true = np.linspace(0.1, 0.75, 100)
    noisy = true + 0.03 * np.random.default_rng(0).normal(size=(200, 100))
    found, first = examples_to(noisy, 0.7), (noisy >= 0.7).argmax(1)
    wanted = examples_to(true, 0.7)
    assert abs(np.median(found) - wanted) <= 2 < wanted - np.median(first)


def test_a_calibrated_forecaster_has_no_calibration_error_and_a_boaster_has_its_gap():
    calibrated = np.zeros((3, 15))
    calibrated[:, 11] = 75, 75, 100  # 100 predictions at 75 % confidence, 75 of them right
    boaster = calibrated.copy()
    boaster[0, 11] = 95
    assert calibration_error(calibrated) == 0 and calibration_error(boaster) == pytest.approx(0.2)


def test_forgetting_and_relearning_of_made_up_scores():
    scores = np.zeros((40, 70), bool)
    scores[:, 20:30] = True  # A, learned perfectly
    scores[:, 60:64] = True  # on its return, four of the first ten
    found = return_metrics(scores, 30)
    assert (found.before.mean, found.after.mean) == (1.0, 0.4)
    assert found.forgetting.mean == pytest.approx(0.6) and found.relearning.mean == pytest.approx(0.4)
    for interval in found:
        assert interval.low <= interval.mean <= interval.high
    errors = return_metrics((~scores).astype(np.float32), 30, n=5)
    assert errors.forgetting.mean == pytest.approx(0.2) and errors.relearning.mean == pytest.approx(0.8)
    assert return_metrics(scores, 5, n=10).before.mean == 0  # no more than a segment
    with pytest.raises(ValueError, match="Episodes of 70 examples do not hold .* give a length of at least 80"):
        return_metrics(scores, 35)


def test_no_learner_forgets_more_than_all():
    scores = np.zeros((4, 70), bool)
    scores[:3, 20:30] = True
    forgetting = return_metrics(scores, 30).forgetting
    assert forgetting.mean == 0.75 and forgetting.high == 1.0
    before = return_metrics(np.ones((4, 70), bool), 30).before
    assert before.low < before.mean == before.high == 1.0  # four perfect episodes do not show that all are


def test_the_intervals_of_forgetting_hold_the_truth():
    generator, held = np.random.default_rng(3), 0
    for _ in range(200):
        scores = generator.random((50, 70)) < np.repeat([0.1, 0.8, 0.1, 0.1, 0.1, 0.1, 0.5], 10)
        scores[:, 20:30] = generator.random((50, 10)) < 0.8
        interval = return_metrics(scores, 30).forgetting
        held += interval.low <= 0.3 <= interval.high
    assert 180 <= held <= 200


def test_resamples_that_exist_never_change(monkeypatch: pytest.MonkeyPatch):
    """Nor do they depend on whether their counts were kept, or on how many are in memory."""
    values, tasks = np.array([1.0, 10.0, 100.0, 1000.0]), np.array([0, 0, -1, 0])
    kept = resampled_means(values, tasks, seed=3)
    assert kept.shape == (1000,) and kept[:4].tolist() == pytest.approx(KNOWN)
    for count, block in ((0, 1 << 22), (0, 12), (4000, 12), (3999, 12)):
        monkeypatch.setattr(metrics, "KEPT", count)
        monkeypatch.setattr(metrics, "BLOCK", block)
        assert np.allclose(resampled_means(values, tasks, seed=3), kept)


def test_a_drawn_task_brings_as_many_episodes_as_it_has():
    """Of two tasks, one of three episodes: means of 3 + 3, 3 + 1 or 1 + 1, as often as 1 : 2 : 1."""
    means = resampled_means([1.0, 1.0, 1.0, 0.0], [5, 5, 5, 2])
    found, counts = np.unique(means, return_counts=True)
    assert found.tolist() == [0.0, 0.75, 1.0] and abs(counts - [250, 500, 250]).max() < 60


def test_percentiles_leave_out_two_and_a_half_percent_at_each_end():
    interval = percentile_interval(np.array(0.5), np.arange(1001.0) / 1000)
    assert (interval.low, interval.high) == (pytest.approx(0.025), pytest.approx(0.975))


def test_a_level_that_is_just_reached_is_reached():
    curves = np.array([[[0.5, 0.75], [0.25, 0.5]], [[0.25, 0.25], [0.0, 0.5]]])
    assert examples_to(curves, 0.5).tolist() == [[0, 1], [np.inf, 1]]


def test_calibration_errors_of_several_learners_are_their_own():
    bins = np.zeros((2, 3, 15))
    bins[0, :, 3], bins[0, :, 9], bins[1, :, 9] = (2, 4, 8), (7, 3, 8), (6, 6, 10)
    assert calibration_error(bins).tolist() == [pytest.approx(6 / 16), 0]


def test_columns_are_side_by_side_in_order():
    assert columns([[1, 2], [[[3], [4]], [[5], [6]]]]).tolist() == [[1, 3, 4], [2, 5, 6]]


@pytest.mark.parametrize("episodes", [1, 4, 10, 40])
@pytest.mark.parametrize("level", [0.5, 0.7])
def test_examples_to_a_level_are_those_of_the_isotonic_regression_in_exact_arithmetic(episodes: int, level: float):
    """Where a curve may just reach the level, rounding does not decide."""
    counts = np.random.default_rng(episodes).binomial(episodes, np.linspace(0.2, 0.95, 12), size=(40, 12))
    for row, found in zip(counts, examples_to(counts / episodes, level), strict=True):
        exact = [Fraction(int(count), episodes) for count in row]
        # The largest of means that start no later, of the smallest that end no earlier (Barlow et al. 1972).
        monotone = [
            max(min(sum(exact[i:j]) / (j - i) for j in range(n + 1, 13)) for i in range(n + 1)) for n in range(12)
        ]
        reached = [n for n, value in enumerate(monotone) if value >= Fraction(level).limit_denominator(10)]
        assert found == (reached[0] if reached else np.inf)
