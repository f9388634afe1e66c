"""The input of each example of an episode: z-normalised, projected (by one A or several), among distractors.

Random linear projections are made from standard normals, by two routes of the same distribution. The matrix route
makes A. The Cholesky route does not: the rows of A X̄ᵀ are i.i.d. N(0, X̄ X̄ᵀ / N_x), so X = L Z with
L Lᵀ = X̄ X̄ᵀ / N_x and Z ~ N(0, 1)^{N×D} has the distribution of X̄ Aᵀ.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from gpicl_envs.datasets.dataset import Dataset, as_tensor
from gpicl_envs.errors import check_choice
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.shift import FLAT, shuffled_scales, spectrum_scales
from gpicl_envs.sampling.substreams import DISTRACTORS, FEATURE_PLACES, PROJECTION, SEGMENT_SUBSTREAMS

PROJECTIONS = ("gaussian", "orthogonal", "none")
ROUTES = ("auto", "matrix", "cholesky")

# Episodes are made in pieces whose largest temporary stays in the cache of a CPU, or fills a GPU.
PIECE_BYTES = {"cpu": 8 << 20, "cuda": 1 << 28}


def choose_route(route: str, projection: str, one_off: bool, longest: int, n_inputs: int) -> str:
    """Return `"matrix"` or `"cholesky"`: the given route, or for `"auto"` the one that draws fewer random numbers.

    One-off tasks need no A. `longest` is the number of examples in the longest segment. Raises ValueError if the route
    cannot draw this projection.
    """
    check_choice("route", route, ROUTES)
    if not one_off or projection == "none":
        if route == "cholesky":
            given = f"projection={projection!r}" + ("" if one_off else " and a finite n_tasks")
            raise ValueError(
                "route='cholesky' draws the inputs of one-off tasks without a matrix: it needs n_tasks=None and a "
                f"random projection, given {given}."
            )
        return "matrix"
    if route == "cholesky" and longest > n_inputs:
        raise ValueError(
            f"route='cholesky' needs length <= N_x: the covariance of {longest} inputs of {n_inputs} values is "
            "singular. Give route='auto' or 'matrix'."
        )
    fewest = "cholesky" if longest < n_inputs else "matrix"
    return fewest if route == "auto" else route


@dataclass(frozen=True)
class Projection:
    """A projection, `"gaussian"` or `"orthogonal"`, of N_x inputs to D features, by one of the routes."""

    kind: str
    n_features: int
    n_inputs: int
    route: str

    def noise_shape(self, length: int) -> tuple[int, int]:
        """Return the shape of the standard normals that one episode of N examples needs."""
        d, n_inputs = self.n_features, self.n_inputs
        if self.route == "cholesky":
            return (length, d) if self.kind == "gaussian" else (length, max(d, n_inputs))
        return (d, n_inputs) if self.kind == "gaussian" else (max(d, n_inputs), min(d, n_inputs))

    def matrices(self, noise: torch.Tensor) -> torch.Tensor:
        """Return A, (B, D, N_x), with entries of variance 1/N_x; overwrites the noise."""
        if self.kind == "gaussian":
            return noise.div_(self.n_inputs**0.5)
        q, r = torch.linalg.qr(noise)
        q = q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)  # makes Q Haar-distributed (Mezzadri 2007)
        return q * (self.n_features / self.n_inputs) ** 0.5 if self.n_features >= self.n_inputs else q.mT

    def project(self, images: torch.Tensor, noise: torch.Tensor, index: torch.Tensor | None, x: torch.Tensor) -> None:
        """Write the projected images into x.

        Args:
            images: (B, N, N_x) z-normalised inputs.
            noise: (B, *noise_shape(N)) standard normals; overwritten.
            index: (B, N) example numbers, equal for repeated inputs; None if no input is repeated.
            x: (B, N, D) memory for the result.
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
    """Replace repeated inputs by independent ones in the covariance; return (B, N) the first place of each input."""
    first = (index.unsqueeze(2) == index.unsqueeze(1)).int().argmax(2)
    repeated = first != torch.arange(index.shape[1], device=index.device)
    covariance.masked_fill_(repeated.unsqueeze(1) | repeated.unsqueeze(2), 0.0)
    covariance.diagonal(dim1=1, dim2=2).masked_fill_(repeated, 1.0)
    return first


def _cholesky(covariance: torch.Tensor) -> torch.Tensor:
    """Lower factor of (B, N, N); if inputs are nearly equal, with the smallest sufficient jitter on the diagonal."""
    factor, info = torch.linalg.cholesky_ex(covariance)
    scale = covariance.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-12)
    jitter = 1e-6  # of the mean of the diagonal
    while bool((info > 0).any()):
        failed = info > 0
        one = torch.eye(covariance.shape[1], dtype=covariance.dtype, device=covariance.device)
        diagonal = one * (scale[failed] * jitter)[:, None, None]
        factor[failed], info[failed] = torch.linalg.cholesky_ex(covariance[failed] + diagonal)
        jitter *= 10
    return factor


@dataclass(eq=False)
class Inputs:
    """How examples become the inputs of an episode; the other arguments are as in `TaskDistribution`.

    Args:
        runs: the positions, in order, of the examples that share one A, for each A.

    Raises:
        ValueError: without a projection, n_features is not the number of base inputs and distractors.
    """

    dataset: Dataset
    split: str
    n_features: int
    projection: str
    distractors: int
    runs: tuple[list[int], ...]
    route: str
    x_spectrum: str
    x_scale: float
    device: torch.device

    def __post_init__(self) -> None:
        n_inputs, kept = self.dataset.n_inputs, self.n_features - self.distractors
        if self.projection == "none" and kept != n_inputs:
            raise ValueError(
                f"projection='none' keeps the {n_inputs} inputs of {self.dataset.name}, but n_features="
                f"{self.n_features} with distractors={self.distractors} leaves {kept} features: give n_features="
                f"{n_inputs + self.distractors}, or another projection."
            )
        self._mean, self._std = self.dataset.moments
        self._projector = Projection(self.projection, kept, n_inputs, self.route)
        self._longest = max(map(len, self.runs))
        self._places = [torch.tensor(run, device="cpu").to(self.device) for run in self.runs]

    def images(self, index: torch.Tensor) -> torch.Tensor:
        """Return the z-normalised base inputs x̄, (*index.shape, N_x) float32."""
        rows = self._base_inputs.index_select(0, index.reshape(-1))  # whole rows: several times as fast as [index]
        images = rows.view(*index.shape, -1).float()
        return images.sub_(self._mean).div_(self._std)

    def write(self, task: Streams, episode: Streams, index: torch.Tensor, x: torch.Tensor) -> None:
        """Write the inputs of the examples (B, N) into x (B, N, D), in pieces that bound the extra memory."""
        length = index.shape[1]
        floats = int(np.prod(self._projector.noise_shape(length))) + length * (self._longest + self.dataset.n_inputs)
        size = max(1, PIECE_BYTES.get(self.device.type, PIECE_BYTES["cpu"]) // (4 * floats))
        for start in range(0, len(index), size):
            piece = slice(start, start + size)
            self._write_piece(task[piece], episode[piece], index[piece], x[piece])
            if self._is_scaled:
                x[piece] *= self._feature_scales(task[piece]).unsqueeze(1)

    def _write_piece(self, task: Streams, episode: Streams, index: torch.Tensor, x: torch.Tensor) -> None:
        if not self.distractors:
            self._project(task, index, x)
            return
        noise = episode.normal(index.shape[1], self.distractors, substream=DISTRACTORS)
        projected = noise.new_empty(*noise.shape[:2], self._projector.n_features)
        self._project(task, index, projected)
        places = self._feature_places(task).unsqueeze(1).expand_as(x)
        x.copy_(torch.cat([projected, noise], dim=2).gather(2, places))

    def matrices(self, task: Streams, run: NDArray[np.int64]) -> torch.Tensor | None:
        """Return A (B, D, N_x) of a run (B,) of each task, with zero rows at distractors; None if there is no A."""
        if self.route == "cholesky":
            return None
        run = np.minimum(run, len(self.runs) - 1)
        matrices = torch.zeros(
            len(task), self.n_features, self.dataset.n_inputs, dtype=torch.float32, device=self.device
        )
        for one in np.unique(run):
            rows = np.flatnonzero(run == one)
            place = torch.from_numpy(rows).to(self.device)
            matrices[place, : self._projector.n_features] = self._matrices(task[rows], int(one))
        if self.distractors:
            matrices = matrices.gather(1, self._feature_places(task).unsqueeze(2).expand_as(matrices))
        return matrices * self._feature_scales(task).unsqueeze(2) if self._is_scaled else matrices

    def _project(self, task: Streams, index: torch.Tensor, x: torch.Tensor) -> None:
        """Write the projected images into x (B, N, D − distractors), run by run."""
        if self.projection == "none":
            x.copy_(self.images(index))
            return
        for number, (run, places) in enumerate(zip(self.runs, self._places, strict=True)):
            whole = run[-1] - run[0] < len(run)  # without a gap
            columns = index[:, run[0] : run[-1] + 1] if whole else index[:, places]
            noise = self._noise(task, len(run), number)
            same = columns if self.dataset.with_replacement else None
            part = x[:, run[0] : run[-1] + 1] if whole else x.new_empty(len(x), len(run), x.shape[2])
            self._projector.project(self.images(columns), noise, same, part)
            if not whole:
                x[:, places] = part

    def _matrices(self, task: Streams, run: int) -> torch.Tensor:
        """(B, D − distractors, N_x) A of one run."""
        if self.projection == "none":
            return torch.eye(self.dataset.n_inputs, dtype=torch.float32, device=self.device).expand(len(task), -1, -1)
        return self._projector.matrices(self._noise(task, self._longest, run))

    def _noise(self, task: Streams, length: int, run: int) -> torch.Tensor:
        return task.normal(*self._projector.noise_shape(length), substream=PROJECTION + run * SEGMENT_SUBSTREAMS)

    @property
    def _is_scaled(self) -> bool:
        return self.x_spectrum != FLAT or self.x_scale != 1

    def _feature_scales(self, task: Streams) -> torch.Tensor:
        """(B, D) the factor of each feature."""
        scales = spectrum_scales(self.x_spectrum, self.x_scale, self.n_features, self.device)
        return shuffled_scales(task, scales)

    def _feature_places(self, task: Streams) -> torch.Tensor:
        """(B, D) the place of each feature of x among the projected features followed by the distractors."""
        return task.permutation(self.n_features, substream=FEATURE_PLACES)

    @cached_property
    def _base_inputs(self) -> torch.Tensor:
        """(M, N_x) in the dataset's own dtype: 8-bit images stay 8-bit."""
        return as_tensor(self.dataset.split(self.split)[0]).to(self.device)
