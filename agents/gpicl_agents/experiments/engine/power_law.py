"""`fit_power_law`: how long something lasts, by one setting, if some runs were stopped before it ended."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import minimize

from gpicl_envs.evaluation.records import Estimate

CONFIDENCE = 0.95
Floats = NDArray[np.float64]


class PowerLaw(NamedTuple):
    """Length = factor · setting^exponent, times a log-normal error; the exponent has its 95 % interval."""

    exponent: Estimate
    factor: float


def fit_power_law(settings: Sequence[float], lengths: Sequence[float | None], budget: float) -> PowerLaw | None:
    """Fit a power law by maximum likelihood; a run without a length counts as longer than the budget.

    This is regression with right-censored log-normal lengths (Tobin 1958): without the censored runs every law would
    look flatter than it is. A weak prior (log σ ~ N(0, 1/2)) keeps the error's σ finite in small samples. The interval
    is Student's, from the curvature of the likelihood, with two fewer degrees of freedom than runs that ended.

    Args:
        settings: of each run, above 0.
        lengths: of each run, above 0; None if it did not end within the budget.
        budget: the longest length that can be observed.

    Returns:
        The law, or None if runs ended at fewer than three settings: two points always lie on a line.
    """
    x = np.log(np.array(settings, dtype=np.float64))
    ended = np.array([length is not None for length in lengths])
    y = np.log(np.array([budget if length is None else length for length in lengths], dtype=np.float64))
    if len(np.unique(x[ended])) < 3:
        return None
    exponent, intercept, error = _least_squares(x, y) if ended.all() else _censored(x, y, ended)
    reach = error * stats.t.ppf(0.5 + CONFIDENCE / 2, ended.sum() - 2)
    return PowerLaw(Estimate(exponent, exponent - reach, exponent + reach), float(np.exp(intercept)))


def _least_squares(x: Floats, y: Floats) -> tuple[float, float, float]:
    """Slope, intercept, and standard error of the slope, of y against x."""
    line = stats.linregress(x, y)
    return float(line.slope), float(line.intercept), float(line.stderr)


def _censored(x: Floats, y: Floats, ended: NDArray[np.bool_]) -> tuple[float, float, float]:
    """The same with normal errors, if y is only a lower bound for the runs that have not ended."""
    middle = x.mean()
    places, values, has_ended = (torch.from_numpy(array) for array in (x - middle, y, ended))

    def loss(parameters: torch.Tensor) -> torch.Tensor:
        slope, height, log_scale = parameters
        z = (values - slope * places - height) / log_scale.exp()
        of_ended = (z[has_ended].square() / 2 + log_scale).sum()
        return of_ended - torch.special.log_ndtr(-z[~has_ended]).sum() + log_scale**2

    slope, intercept, _ = _least_squares(x, y)
    spread = np.std(y - slope * x - intercept) + 0.1
    start = np.array([slope, intercept + slope * middle, np.log(spread)])
    options = {"maxiter": 4000, "xatol": 1e-6, "fatol": 1e-9}
    found = minimize(lambda at: loss(torch.from_numpy(at)).item(), start, method="Nelder-Mead", options=options).x
    curvature = torch.autograd.functional.hessian(loss, torch.from_numpy(found)).numpy()
    variance = np.linalg.inv(curvature)[0, 0] * len(x) / (len(x) - 2)
    return float(found[0]), float(found[1] - found[0] * middle), float(np.sqrt(variance))
