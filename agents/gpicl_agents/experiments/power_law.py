"""`fit_power_law`: how long something lasts against one setting, where some runs were stopped before it had ended."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import norm

from gpicl_envs.metrics import Interval

RESAMPLES = 300
SEED = 20_221_209
Floats = NDArray[np.float64]


class PowerLaw(NamedTuple):
    """Length = factor · setting^exponent, times a log-normal error.

    Attributes:
        exponent: with its 95 % interval.
        factor: the length at a setting of 1.
    """

    exponent: Interval
    factor: float


def fit_power_law(settings: Sequence[float], lengths: Sequence[float | None], budget: float) -> PowerLaw | None:
    """Fit a power law by maximum likelihood; a run without a length counts as one longer than the budget.

    This is regression with right-censored log-normal lengths (Tobin 1958): leaving such runs out would make every law
    look flatter than it is. A weak prior (log σ ~ N(0, 1/2)) keeps the error's σ finite in small samples. The interval
    is the percentile bootstrap's over runs.

    Args:
        settings: of each run, above 0.
        lengths: of each run, above 0; None where it had not ended within the budget.
        budget: longest length that could be seen.

    Returns:
        The law, or None with lengths at fewer than three settings: two points always lie on a line.
    """
    x = np.log(np.array(settings, dtype=np.float64))
    ended = np.array([length is not None for length in lengths])
    y = np.log(np.array([budget if length is None else length for length in lengths], dtype=np.float64))
    if len(np.unique(x[ended])) < 3:
        return None
    exponent, intercept = _fit(x, y, ended)
    rng = np.random.default_rng(SEED)
    drawn = []
    for _ in range(RESAMPLES):
        rows = rng.integers(len(x), size=len(x))
        if len(np.unique(x[rows][ended[rows]])) >= 2:
            drawn.append(_fit(x[rows], y[rows], ended[rows])[0])
    low, high = np.quantile(drawn, [0.025, 0.975])
    return PowerLaw(Interval(np.asarray(exponent), low, high), float(np.exp(intercept)))


def _fit(x: Floats, y: Floats, ended: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and intercept of y against x with normal errors; y is a lower bound where it has not ended."""
    slope, intercept = np.polyfit(x, y, 1)
    if ended.all():
        return float(slope), float(intercept)

    def loss(parameters: Floats) -> float:
        a, b, log_scale = parameters
        z = (y - a * x - b) / np.exp(log_scale)
        return float(-(norm.logpdf(z[ended]) - log_scale).sum() - norm.logsf(z[~ended]).sum() + log_scale**2)

    start = np.array([slope, intercept, np.log(np.std(y - slope * x - intercept) + 0.1)])
    a, b, _ = minimize(loss, start, method="Nelder-Mead", options={"maxiter": 2000}).x
    return float(a), float(b)
