import numpy as np
import pytest

from gpicl_envs.evaluation import metrics
from gpicl_envs.evaluation.metrics import bootstrap, calibration_error, examples_to, resampled_means


def test_the_interval_covers_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        interval = bootstrap(generator.random(80) < 0.7, seed=trial)
        hits += interval.low <= 0.7 <= interval.high
    assert 0.89 <= hits / 200 <= 0.99


def test_the_width_is_that_of_the_normal_approximation():
    values = np.random.default_rng(1).normal(3.0, 2.0, size=1000)
    interval = bootstrap(values)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * values.std() / 1000**0.5, rel=0.1)


def test_episodes_of_one_task_are_not_independent():
    """20 tasks of 50 episodes that all score alike carry the information of 20 episodes, not of 1,000."""
    of_task = np.random.default_rng(2).normal(size=20)
    tasks = np.repeat(np.arange(20), 50)
    clustered, naive = bootstrap(of_task[tasks], tasks), bootstrap(of_task[tasks])
    few = bootstrap(of_task)
    width = lambda interval: interval.high - interval.low  # noqa: E731
    assert width(clustered) == pytest.approx(width(few), rel=0.15)
    assert width(clustered) > 4 * width(naive)


def test_one_off_tasks_count_one_by_one():
    values = np.random.default_rng(3).random(100)
    assert bootstrap(values, np.full(100, -1)) == bootstrap(values)


def test_curves_get_an_interval_at_each_position():
    values = np.random.default_rng(4).random((50, 7))
    interval = bootstrap(values)
    assert interval.mean == pytest.approx(values.mean(0)) and interval.low.shape == (7,)
    assert (interval.low < interval.mean).all() and (interval.mean < interval.high).all()


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(5).random(50)
    assert bootstrap(values, seed=1) == bootstrap(values, seed=1) != bootstrap(values, seed=2)


def test_no_episodes_no_interval():
    with pytest.raises(ValueError, match="at least one"):
        bootstrap([])


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
