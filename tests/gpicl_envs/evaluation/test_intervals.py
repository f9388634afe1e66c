import numpy as np
import pytest
from scipy.stats import binom, t

from gpicl_envs.evaluation.intervals import (
    accuracy_draws,
    accuracy_interval,
    few_note,
    mean_interval,
    task_numbers,
)

EPISODES = (16, 32, 64, 128, 512)
ACCURACIES = np.array([0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.97, 0.99])


def coverage(interval, truth: float) -> float:
    return float(np.mean((interval.low <= truth) & (truth <= interval.high)))


def outcomes(episodes: int) -> np.ndarray:
    """(E, E + 1): every number of correct predictions that E episodes of one position can have."""
    return np.arange(episodes)[:, None] < np.arange(episodes + 1)


@pytest.mark.parametrize("episodes", EPISODES)
def test_one_position_is_covered_as_often_as_it_says(episodes: int):
    """Exact: all outcomes with their probabilities.

    With 16 outcomes, or where fewer than five errors (or hits) are expected, one outcome more or less makes over 4 %,
    so that coverage below 97 % can be below 93 %.
    """
    low, high = accuracy_interval(outcomes(episodes))[1:]
    found = []
    for truth in np.linspace(0.1, 0.99, 90):
        holds = (low <= truth) & (truth <= high)
        found.append(binom.pmf(np.arange(episodes + 1), episodes, truth)[holds].sum())
        coarse = episodes == 16 or episodes * min(truth, 1 - truth) < 5
        assert 0.93 <= found[-1] <= (1.0 if coarse else 0.971), (truth, found[-1])
    assert 0.945 <= np.mean(found) <= 0.97


@pytest.mark.parametrize("episodes", EPISODES)
@pytest.mark.parametrize("truth", ACCURACIES)
def test_ten_positions_are_covered_as_often_as_they_say(episodes: int, truth: float):
    scores = np.random.default_rng(0).binomial(10, truth, (episodes, 1500)) / 10
    rare = 10 * episodes * min(truth, 1 - truth) < 10
    assert 0.935 <= coverage(accuracy_interval(scores, positions=10), truth) <= (1.0 if rare else 0.97)


@pytest.mark.parametrize("tasks", [2, 3, 4, 8, 16])
@pytest.mark.parametrize("truth", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("spread", [0.0, 0.05, 0.1])
def test_few_tasks_are_covered_though_their_episodes_are_alike(tasks: int, truth: float, spread: float):
    generator, per_task = np.random.default_rng(0), 32
    of_task = generator.normal(truth, spread * 0.9, (tasks, 1000)).clip(0.02, 0.98)
    scores = generator.binomial(10, np.repeat(of_task, per_task, 0)) / 10
    truth = of_task.mean()
    found = accuracy_interval(scores, np.repeat(np.arange(tasks), per_task), positions=10)
    assert coverage(found, truth) >= 0.9


def test_at_the_ends_an_interval_is_never_a_point():
    """A run of E episodes without an error says little about accuracies above 1 − 3 / E."""
    for episodes in (2, 16, 512):
        for positions in (1, 10):
            right, wrong = (accuracy_interval(np.full(episodes, end), positions=positions) for end in (1.0, 0.0))
            assert right.mean == right.high == 1 and 1 - right.low == pytest.approx(wrong.high)
            assert 0.95 <= binom.sf(0, episodes, wrong.high) <= 0.98
            assert wrong.mean == wrong.low == 0


def test_one_episode_says_next_to_nothing():
    assert accuracy_interval([1.0], positions=10)[1:] == accuracy_interval([0.3])[1:] == (0, 1)
    assert mean_interval([3.0])[1:] == (-np.inf, np.inf)
    assert mean_interval([0.5], step=0.1, bounds=(-1, 1))[1:] == (-1, 1)


def test_the_interval_of_one_task_is_over_its_episodes():
    scores = np.random.default_rng(0).binomial(10, 0.7, 100) / 10
    one, own = (accuracy_interval(scores, tasks, positions=10) for tasks in (np.zeros(100, int), None))
    assert one == own


def test_the_mean_is_that_of_all_episodes_and_lies_inside():
    generator = np.random.default_rng(4)
    tasks = np.repeat(np.arange(5), [1, 2, 3, 14, 30])
    values = generator.binomial(10, 0.8, (50, 7)) / 10
    found = [accuracy_interval(values, tasks, positions=10), mean_interval(values - 0.5, tasks, step=0.1)]
    for interval, mean in zip(found, (values.mean(0), values.mean(0) - 0.5), strict=True):
        assert interval.mean == pytest.approx(mean) and interval.low.shape == (7,)
        assert (interval.low < interval.mean).all() and (interval.mean < interval.high).all()


def test_episodes_of_one_task_are_not_independent():
    """20 tasks of 50 episodes that all score alike carry the information of 20 episodes, not of 1,000."""
    of_task = np.random.default_rng(2).normal(size=20)
    tasks = np.repeat(np.arange(20), 50)
    clustered, few = mean_interval(of_task[tasks], tasks), mean_interval(of_task)
    assert clustered == pytest.approx(few)
    right = np.arange(20)[tasks] < 14
    assert accuracy_interval(right, tasks) == pytest.approx(accuracy_interval(np.arange(20) < 14), abs=0.06)


def test_one_off_tasks_count_one_by_one():
    values = np.random.default_rng(3).random(100)
    assert mean_interval(values, np.full(100, -1)) == mean_interval(values)
    assert task_numbers([-1, 3, -1, 3], 4).tolist() == [1, 0, 2, 0]


def test_symmetric_values_have_student_s_interval():
    values = np.random.default_rng(1).normal(3.0, 2.0, 200)
    values = np.concatenate([values, 6 - values])
    interval = mean_interval(values)
    half = t.ppf(0.975, 399) * values.std(ddof=1) / 20
    assert interval == pytest.approx((3.0, 3.0 - half, 3.0 + half))


@pytest.mark.parametrize("episodes", [16, 64, 512])
def test_skewed_errors_are_covered(episodes: int):
    """Squares of normal errors, for which Student's interval of 16 episodes covers 87 %."""
    errors = np.random.default_rng(episodes).normal(size=(episodes, 2000)) ** 2
    assert 0.925 <= coverage(mean_interval(errors), 1.0) <= 0.965


@pytest.mark.parametrize("episodes", [16, 64, 512])
@pytest.mark.parametrize(("p", "q"), [(0.7, 0.6), (0.99, 0.95), (0.999, 0.99)])
@pytest.mark.parametrize("positions", [1, 10])
def test_differences_of_accuracies_are_covered_also_where_most_are_zero(episodes, p, q, positions):
    shape = episodes, 1500
    generator = np.random.default_rng(0)
    differences = (generator.binomial(positions, p, shape) - generator.binomial(positions, q, shape)) / positions
    assert coverage(mean_interval(differences, step=1 / positions, bounds=(-1, 1)), p - q) >= 0.93


def test_draws_have_the_interval_of_the_accuracy():
    scores = np.random.default_rng(5).binomial(10, 0.8, 60) / 10
    low, high = np.quantile(accuracy_draws(scores, None, positions=10, count=20_000), [0.025, 0.975])
    assert (low, high) == pytest.approx(accuracy_interval(scores, positions=10)[1:], abs=0.005)
    assert accuracy_draws([1.0], None, count=1000).std() > 0.2


@pytest.mark.parametrize(
    ("tasks", "episodes", "note"),
    [
        (None, 16, ""),
        (np.arange(16), 16, ""),
        (None, 1, "one episode"),
        (np.zeros(64, int), 64, "one task, so the intervals are over its episodes alone"),
        (None, 15, "15 episodes"),
        (np.arange(64) % 4, 64, "4 tasks"),
    ],
)
def test_too_few_are_said(tasks, episodes: int, note: str):
    assert few_note(tasks, episodes).startswith(note) and bool(few_note(tasks, episodes)) == bool(note)


def test_no_episodes_no_interval():
    for interval in (mean_interval, accuracy_interval):
        with pytest.raises(ValueError, match="at least one"):
            interval([])
