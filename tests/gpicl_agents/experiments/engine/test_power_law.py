import numpy as np
import pytest

from gpicl_agents.experiments.engine.power_law import fit_power_law

SETTINGS = np.repeat([4.0, 8.0, 16.0, 32.0, 64.0], 4)


def noisy(exponent: float, spread: float = 0.2) -> np.ndarray:
    rng = np.random.default_rng(0)
    return 5000 * SETTINGS**exponent * np.exp(spread * rng.standard_normal(len(SETTINGS)))


def test_an_exact_law_is_found_with_an_interval_of_no_width():
    law = fit_power_law([1, 2, 4], [300, 150, 75], 1000)
    assert law is not None
    assert law.exponent == pytest.approx((-1, -1, -1)) and law.factor == pytest.approx(300)


@pytest.mark.parametrize(("runs", "budget"), [(2, np.inf), (4, 1500.0)])
def test_the_interval_holds_the_true_exponent_as_often_as_it_says(runs: int, budget: float):
    rng = np.random.default_rng(1)
    settings = np.repeat([4.0, 8.0, 16.0, 32.0, 64.0], runs)
    held = []
    for _ in range(200):
        lengths = 5000 * settings**-0.5 * np.exp(0.4 * rng.standard_normal(len(settings)))
        law = fit_power_law(settings, [length if length <= budget else None for length in lengths], budget)
        held.append(law is not None and law.exponent.low < -0.5 < law.exponent.high)
    assert 0.91 <= np.mean(held) <= 0.99  # 0.95 ± 2.6 standard errors


def test_runs_that_never_ended_are_counted_not_dropped():
    lengths = noisy(-0.5)
    budget = 1500.0
    seen = [float(length) if length <= budget else None for length in lengths]
    assert 3 <= seen.count(None) <= 10
    counted = fit_power_law(SETTINGS, seen, budget)
    kept = [(s, length) for s, length in zip(SETTINGS, seen, strict=True) if length is not None]
    dropped = fit_power_law(*zip(*kept, strict=True), budget)
    assert counted is not None and dropped is not None
    assert abs(counted.exponent.mean + 0.5) < abs(dropped.exponent.mean + 0.5)
    assert counted.exponent.low < -0.5 < counted.exponent.high


def test_fewer_than_three_settings_that_ended_are_no_law():
    assert fit_power_law([1, 2, 4], [10, 5, None], 100) is None
    assert fit_power_law([1, 1, 2, 2], [10, 11, 5, 6], 100) is None


def test_the_same_runs_give_the_same_interval():
    first, second = (fit_power_law(SETTINGS, list(noisy(-0.5)), 1e6) for _ in range(2))
    assert first == second
