"""`FunctionDistribution`: random functions of Gaussian inputs, as a distribution of regression problems.

The in-context function classes of Garg, Tsipras, Liang and Valiant, "What can Transformers learn in-context? A case
study of simple function classes" (NeurIPS 2022), sections 3 and 4: x ~ N(0, I_D) unless it is shifted
(`sampling/shift.py`), and y = f(x) with f drawn once for each task.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gpicl_envs.errors import check_choice, check_integer, check_number
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.shift import FLAT, check_orthants, check_spectrum, move_to_orthants, rotate, spectrum_scales
from gpicl_envs.sampling.substreams import EXAMPLES, FUNCTION, FUNCTION_CHOICES, NOISE, SEGMENT_SUBSTREAMS
from gpicl_envs.tasks.base import LENGTH, RETURN, EpisodeDistribution, Task, check_drift, check_drift_every
from gpicl_envs.tasks.episodes import Episodes, Tasks

NONZERO = 3  # coordinates of a sparse linear function
HIDDEN = 100  # units of the two-layer network
DEPTH = 4  # of the decision tree
PIECE = 64  # episodes made at a time, which bounds the extra memory

Parameters = dict[str, torch.Tensor]


@dataclass(frozen=True)
class FunctionClass:
    """A class of functions from R^D to R.

    Args:
        name: `GPICL-{name}-v0` is the environment's id.
        least_features: the smallest D for which the class is defined.
        draw: (streams of B tasks, D, first substream) → parameters, each with a leading B.
        apply: (parameters, (B, N, D) inputs) → (B, N) values.
        variance: D → variance of the values, over functions and inputs; their mean is 0.
    """

    name: str
    least_features: int
    draw: Callable[[Streams, int, int], Parameters]
    apply: Callable[[Parameters, torch.Tensor], torch.Tensor]
    variance: Callable[[int], float]


def draw_linear(streams: Streams, n_features: int, substream: int) -> Parameters:
    """Draw w ~ N(0, I)."""
    return {"weight": streams.normal(n_features, substream=substream + FUNCTION)}


def draw_sparse_linear(streams: Streams, n_features: int, substream: int) -> Parameters:
    """Draw w ~ N(0, I), then set all but three coordinates, drawn at random, to zero."""
    weight = streams.normal(n_features, substream=substream + FUNCTION)
    kept = streams.permutation(n_features, substream=substream + FUNCTION_CHOICES) < NONZERO
    return {"weight": weight * kept}


def apply_linear(parameters: Parameters, x: torch.Tensor) -> torch.Tensor:
    """Return w · x."""
    return (x * parameters["weight"].unsqueeze(1)).sum(2)


def draw_network(streams: Streams, n_features: int, substream: int) -> Parameters:
    """Draw w_i ~ N(0, I) and α_i ~ N(0, 2/r) for r = 100 hidden units."""
    noise = streams.normal(HIDDEN, n_features + 1, substream=substream + FUNCTION)
    return {"hidden": noise[..., :-1].contiguous(), "output": noise[..., -1] * (2 / HIDDEN) ** 0.5}


def apply_network(parameters: Parameters, x: torch.Tensor) -> torch.Tensor:
    """Return Σ α_i max(0, w_i · x)."""
    return (torch.bmm(x, parameters["hidden"].mT).relu() * parameters["output"].unsqueeze(1)).sum(2)


def draw_tree(streams: Streams, n_features: int, substream: int) -> Parameters:
    """Draw a full binary tree of depth 4: a coordinate for each of 15 inner nodes, N(0, 1) for each of 16 leaves."""
    coordinates = streams.below(n_features, 2**DEPTH - 1, substream=substream + FUNCTION_CHOICES)
    return {"coordinate": coordinates, "leaf": streams.normal(2**DEPTH, substream=substream + FUNCTION)}


def apply_tree(parameters: Parameters, x: torch.Tensor) -> torch.Tensor:
    """Return the value of the leaf that x falls into, going right wherever its coordinate is positive."""
    node = torch.zeros(x.shape[:2], dtype=torch.int64, device=x.device)
    for _ in range(DEPTH):
        coordinate = parameters["coordinate"].gather(1, node)
        node = 2 * node + 1 + (x.gather(2, coordinate.unsqueeze(2))[..., 0] > 0)
    return parameters["leaf"].gather(1, node - (2**DEPTH - 1))


FUNCTIONS = {
    spec.name: spec
    for spec in (
        FunctionClass("LinearRegression", 1, draw_linear, apply_linear, float),
        FunctionClass("SparseLinearRegression", NONZERO, draw_sparse_linear, apply_linear, lambda d: float(NONZERO)),
        FunctionClass("TwoLayerNetwork", 1, draw_network, apply_network, float),  # r units of (2/r) E max(0, w · x)²
        FunctionClass("DecisionTree", 1, draw_tree, apply_tree, lambda d: 1.0),
    )
}


class FunctionDistribution(EpisodeDistribution):
    """A distribution of regression problems over one class of functions.

    Args:
        function: `"LinearRegression"`, `"SparseLinearRegression"`, `"TwoLayerNetwork"` or `"DecisionTree"`.
        length: N, examples in an episode.
        n_features: D, features of x; 20 as in the paper.
        n_tasks: number of tasks, with ids 0 … n − 1, regenerated on demand; `None` gives endless one-off tasks.
        split: `"train"` or `"test"`, which share no one-off functions and no inputs.
        noise: standard deviation of Gaussian noise on y.
        x_spectrum: covariance of x, with a mean variance of 1, and principal axes that each task draws: `"flat"` (all
            variances 1), `"skewed"` (variances in the ratios 1, 1/4, 1/9, …), or `"subspace"` (of D/2 dimensions).
        x_scale: factor of x.
        orthants: if given, all examples but the last lie in one orthant, which each episode draws. The last, the query,
            lies in any (`"random"`), or in the opposite one (`"opposite"`).
        drift_every: if given, the function changes every `drift_every` examples.
        drift: `"task"`: to a new function; `"return"`: functions A, B, A, B, … in at least three segments.
        task_seed: seed of the numbered tasks.
        device: where episodes are made.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        function: str = "LinearRegression",
        *,
        length: int = LENGTH,
        n_features: int = 20,
        n_tasks: int | None = None,
        split: str = "train",
        noise: float = 0.0,
        x_spectrum: str = "flat",
        x_scale: float = 1.0,
        orthants: str | None = None,
        drift_every: int | None = None,
        drift: str = "task",
        task_seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        self.name, self.n_classes = check_choice("function", function, tuple(FUNCTIONS)), 1
        self.function = FUNCTIONS[self.name]
        self.length = check_integer("length", length, 1)
        self.n_features = check_integer("n_features", n_features, self.function.least_features)
        self._set_common(n_tasks, split, task_seed, device)
        self.noise = check_number("noise", noise, 0)
        self.x_spectrum, self.x_scale = check_spectrum(x_spectrum, x_scale, self.n_features)
        self.orthants = check_orthants(orthants, self.x_spectrum, self.length)
        self.drift_every = check_drift_every(drift_every, self.length)
        self.drift = check_drift(drift, ("task", RETURN), self.drift_every, self.length)

    @property
    def target_variance(self) -> float:
        """The variance of f(x) over functions and inputs, without the noise; its mean is 0."""
        return self.function.variance(self.n_features)

    def parameters(self, tasks: Tasks, segment: int = 0) -> Parameters:
        """Return the parameters of the tasks' functions in a segment, each with a leading B."""
        return self.function.draw(tasks.streams, self.n_features, self.version(segment) * SEGMENT_SUBSTREAMS)

    def hidden(self, episodes: Episodes, position: NDArray[np.int64]) -> Task:
        """Return the B hidden tasks, each at its current example (B,)."""
        rows = [
            self.parameters(episodes.tasks[np.array([row])], int(segment))
            for row, segment in enumerate(self.segment_of(position))
        ]
        return Task(episodes.tasks.ids, parameters={name: torch.cat([row[name] for row in rows]) for name in rows[0]})

    def base_input(self, episodes: Episodes, row: int, position: int) -> NDArray[np.float32]:
        """Return the input itself, (D,): there is no base input."""
        return episodes.x[row, position].cpu().numpy()

    def _make_tasks(self, ids: torch.Tensor, streams: Streams) -> Tasks:
        return Tasks(ids, streams)

    def _make_episodes(self, tasks: Tasks, episode: Streams, out: torch.Tensor) -> Episodes:
        y = out.new_empty(len(out), self.length)
        for start in range(0, len(out), PIECE):
            rows = np.arange(start, min(start + PIECE, len(out)))
            piece = slice(start, start + PIECE)
            out[piece] = self._draw_inputs(tasks.streams[rows], episode[rows])
            for number, examples in enumerate(self.segments()):
                y[piece, examples] = self.function.apply(self.parameters(tasks[rows], number), out[piece, examples])
        if self.noise:
            y = y + self.noise * episode.normal(self.length, substream=NOISE)
        return Episodes(out, y, torch.full_like(y, -1, dtype=torch.int64), tasks)

    def _draw_inputs(self, task: Streams, episode: Streams) -> torch.Tensor:
        """(B, N, D) Gaussian inputs, shifted if that is asked for."""
        x = episode.normal(self.length, self.n_features, substream=EXAMPLES)
        if self.orthants is not None:
            x = move_to_orthants(self.orthants, episode, x)
        if self.x_spectrum == FLAT:
            return x if self.x_scale == 1 else x * self.x_scale
        scales = spectrum_scales(self.x_spectrum, self.x_scale, self.n_features, self.device)
        return rotate(task, scales, x)
