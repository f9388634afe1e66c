"""What each example of an episode looks like: z-normalised, projected (segment by segment), among distractors.

Random linear projections are made from standard normal noise, by two routes of equal distribution. The matrix route
makes A. The Cholesky route never does: the rows of A X̄ᵀ are i.i.d. N(0, X̄ X̄ᵀ / N_x), so that X = L Z with
L Lᵀ = X̄ X̄ᵀ / N_x and Z ~ N(0, 1)^{N×D} is distributed as X̄ Aᵀ.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from gpicl_envs.datasets.dataset import Dataset
from gpicl_envs.errors import check_choice
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.substreams import DISTRACTORS, FEATURE_PLACES, PROJECTION, SEGMENT_SUBSTREAMS

PROJECTIONS = ("gaussian", "orthogonal", "none")


@dataclass(frozen=True)
class Projection:
    """A projection of N_x inputs to D features.

    Args:
        kind: `"gaussian"` or `"orthogonal"`.
        n_features: D.
        n_inputs: N_x.
        route: `"matrix"` or `"cholesky"`.
    """

    kind: str
    n_features: int
    n_inputs: int
    route: str

    def noise_shape(self, length: int) -> tuple[int, int]:
        """Shape of the standard normals that one episode of N examples takes."""
        d, n_inputs = self.n_features, self.n_inputs
        if self.route == "cholesky":
            return (length, d) if self.kind == "gaussian" else (length, max(d, n_inputs))
        return (d, n_inputs) if self.kind == "gaussian" else (max(d, n_inputs), min(d, n_inputs))

    def matrices(self, noise: torch.Tensor) -> torch.Tensor:
        """Return A, (B, D, N_x), with entries of variance 1/N_x; the noise is used up."""
        if self.kind == "gaussian":
            return noise.div_(self.n_inputs**0.5)
        q, r = torch.linalg.qr(noise)
        q = q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)  # makes Q Haar-distributed (Mezzadri 2007)
        return q * (self.n_features / self.n_inputs) ** 0.5 if self.n_features >= self.n_inputs else q.mT

    def project(self, images: torch.Tensor, noise: torch.Tensor, index: torch.Tensor | None, x: torch.Tensor) -> None:
        """Write the projected images into x.

        Args:
            images: (B, N, N_x) z-normalised inputs.
            noise: (B, *noise_shape(N)) standard normals, used up.
            index: (B, N) numbers by which repeated inputs are known; None where there are none.
            x: (B, N, D) the result.
        """
        if self.route == "matrix":
            torch.bmm(images, self.matrices(noise).mT, out=x)
            return
        covariance = torch.bmm(images, images.mT).div_(self.n_inputs)
        first = None if index is None else _without_repeats(covariance, index)
        factor = _cholesky(covariance)
        if self.kind == "gaussian":
            torch.bmm(factor, noise, out=x)
        else:
            x.copy_(factor @ self._orthonormal_rows(noise))
        if first is not None:
            x.copy_(x.gather(1, first.unsqueeze(2).expand_as(x)))

    def _orthonormal_rows(self, noise: torch.Tensor) -> torch.Tensor:
        """The orthogonal counterpart of Z: √max(N_x, D) times the first D columns of N Haar-random orthonormal rows."""
        rows = torch.linalg.solve_triangular(_cholesky(noise @ noise.mT), noise, upper=False)
        return rows[..., : self.n_features] * noise.shape[-1] ** 0.5


def _without_repeats(covariance: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Make repeated inputs harmless to the factorisation; return (B, N) the first place of each input."""
    first = (index.unsqueeze(2) == index.unsqueeze(1)).int().argmax(2)
    repeated = first != torch.arange(index.shape[1], device=index.device)
    covariance.masked_fill_(repeated.unsqueeze(1) | repeated.unsqueeze(2), 0.0)
    covariance.diagonal(dim1=1, dim2=2).masked_fill_(repeated, 1.0)
    return first


def _cholesky(covariance: torch.Tensor) -> torch.Tensor:
    """Lower factor of (B, N, N); nearly equal inputs get the least diagonal, from 1e-6 of its mean, that factorises."""
    factor, info = torch.linalg.cholesky_ex(covariance)
    scale = covariance.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-12)
    jitter = 1e-6
    while bool((info > 0).any()):
        failed = info > 0
        diagonal = torch.eye(covariance.shape[1], device=covariance.device) * (scale[failed] * jitter)[:, None, None]
        factor[failed], info[failed] = torch.linalg.cholesky_ex(covariance[failed] + diagonal)
        jitter *= 10
    return factor


ROUTES = ("auto", "matrix", "cholesky")

# Episodes are made in pieces whose largest temporary stays in the cache of a CPU, or fills a GPU.
PIECE_BYTES = {"cpu": 8 << 20, "cuda": 1 << 30}


class Inputs:
    """How examples become the inputs of an episode; the arguments are those of `TaskDistribution`.

    Args:
        dataset: the base dataset.
        split: its split.
        n_features: D.
        projection: kind of A.
        distractors: number of the features that are noise.
        segments: runs of examples with an A of their own.
        route: how A x̄ is drawn.
        one_off: whether tasks are one-off, so that A need not exist.
        device: where inputs are made.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: str,
        *,
        n_features: int,
        projection: str,
        distractors: int,
        segments: tuple[slice, ...],
        route: str,
        one_off: bool,
        device: torch.device,
    ) -> None:
        self.dataset, self.split, self.device = dataset, split, device
        self._mean, self._deviation = dataset.moments
        self.n_features, self.distractors, self.segments = n_features, distractors, segments
        self.projection = check_choice("projection", projection, PROJECTIONS)
        if projection == "none" and n_features - distractors != dataset.n_inputs:
            raise ValueError(
                f"projection='none' keeps the {dataset.n_inputs} inputs of {dataset.name}, but n_features={n_features} "
                f"with distractors={distractors} leaves {n_features - distractors} features: give n_features="
                f"{dataset.n_inputs + distractors}, or another projection."
            )
        self.route = self._choose_route(check_choice("route", route, ROUTES), one_off)
        self._projector = Projection(projection, n_features - distractors, dataset.n_inputs, self.route)

    def images(self, index: torch.Tensor) -> torch.Tensor:
        """Return the z-normalised base inputs x̄, (*index.shape, N_x) float32."""
        return self._inputs[index].float().sub_(self._mean).div_(self._deviation)

    def write(self, task: Streams, episode: Streams, index: torch.Tensor, x: torch.Tensor) -> None:
        """Write the inputs of the examples (B, N) into x (B, N, D), in pieces that bound the memory beside it."""
        length = index.shape[1]
        floats = int(np.prod(self._projector.noise_shape(length))) + length * (self._longest + self.dataset.n_inputs)
        size = max(1, PIECE_BYTES.get(self.device.type, PIECE_BYTES["cpu"]) // (4 * floats))
        for start in range(0, len(index), size):
            piece = slice(start, start + size)
            if not self.distractors:
                self._project(task[piece], index[piece], x[piece])
                continue
            noise = episode[piece].normal(length, self.distractors, substream=DISTRACTORS)
            projected = noise.new_empty(*noise.shape[:2], self._projector.n_features)
            self._project(task[piece], index[piece], projected)
            places = self._feature_places(task[piece]).unsqueeze(1).expand_as(x[piece])
            x[piece] = torch.cat([projected, noise], dim=2).gather(2, places)

    def matrices(self, task: Streams, segment: NDArray[np.int64]) -> torch.Tensor | None:
        """Return A, (B, D, N_x), in a segment of each task, with zero rows at distractors; None where there is no A."""
        if self.route == "cholesky":
            return None
        segment = np.minimum(segment, len(self.segments) - 1)
        matrices = torch.zeros(len(task), self.n_features, self.dataset.n_inputs, device=self.device)
        for one in np.unique(segment):
            rows = np.flatnonzero(segment == one)
            place = torch.from_numpy(rows).to(self.device)
            matrices[place, : self._projector.n_features] = self._matrices(task[rows], int(one))
        if self.distractors:
            matrices = matrices.gather(1, self._feature_places(task).unsqueeze(2).expand_as(matrices))
        return matrices

    def _project(self, task: Streams, index: torch.Tensor, x: torch.Tensor) -> None:
        """Write the projected images into x (B, N, D − distractors), segment by segment."""
        if self.projection == "none":
            x.copy_(self.images(index))
            return
        for number, examples in enumerate(self.segments):
            columns = index[:, examples]
            noise = self._noise(task, columns.shape[1], number)
            same = columns if self.dataset.with_replacement else None
            self._projector.project(self.images(columns), noise, same, x[:, examples])

    def _matrices(self, task: Streams, segment: int) -> torch.Tensor:
        """(B, D − distractors, N_x) A of one segment."""
        if self.projection == "none":
            return torch.eye(self.dataset.n_inputs, device=self.device).expand(len(task), -1, -1)
        return self._projector.matrices(self._noise(task, self._longest, segment))

    def _noise(self, task: Streams, length: int, segment: int) -> torch.Tensor:
        return task.normal(*self._projector.noise_shape(length), substream=PROJECTION + segment * SEGMENT_SUBSTREAMS)

    def _feature_places(self, task: Streams) -> torch.Tensor:
        """(B, D) where each feature of x is found among the projected ones and, after them, the distractors."""
        return task.permutation(self.n_features, substream=FEATURE_PLACES)

    def _choose_route(self, route: str, one_off: bool) -> str:
        if not one_off or self.projection == "none":
            if route == "cholesky":
                given = f"projection={self.projection!r}" + ("" if one_off else " and a finite n_tasks")
                raise ValueError(
                    "route='cholesky' draws the inputs of one-off tasks without a matrix: it needs n_tasks=None and a "
                    f"random projection, given {given}."
                )
            return "matrix"
        if route == "cholesky" and self._longest > self.dataset.n_inputs:
            raise ValueError(
                f"route='cholesky' needs length <= N_x: the covariance of {self._longest} inputs of "
                f"{self.dataset.n_inputs} values is singular. Give route='auto' or 'matrix'."
            )
        fewest = "cholesky" if self._longest < self.dataset.n_inputs else "matrix"
        return fewest if route == "auto" else route

    @property
    def _longest(self) -> int:
        """Examples of the longest segment."""
        return self.segments[0].stop

    @cached_property
    def _inputs(self) -> torch.Tensor:
        """(M, N_x) in the dataset's own dtype: 8-bit images stay 8-bit."""
        return torch.from_numpy(self.dataset.split(self.split)[0]).to(self.device)
