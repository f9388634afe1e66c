"""`TaskDistribution`: a base dataset, randomly projected and relabelled, as a distribution of learning problems.

A task is x = A x̄ with A ∈ R^{D×N_x}, A_ij ~ N(0, 1/N_x), and y = ρ(ȳ) with ρ a permutation of the labels
(Kirsch et al. 2022, "General-Purpose In-Context Learning", section 3).

Nothing here has state: an episode is a pure function of its stream's seed and its number in that stream, and a task
of its id. Any batch size, order, process or device therefore gives the same episodes.
"""

from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gpicl_envs.choice import draw_distinct, shuffle
from gpicl_envs.datasets.base import SPLITS, Dataset, load_dataset
from gpicl_envs.episodes import Episodes, Tasks
from gpicl_envs.errors import UnknownNameError, check_choice, check_integer, check_share
from gpicl_envs.philox import WORD, Streams
from gpicl_envs.projections import PROJECTIONS, Projection

ROUTES = ("auto", "matrix", "cholesky")
ONE_OFF = -1
MAX_TASKS = 1 << 31

# What a stream of random words is for, and which of its parts serves what.
FIXED_TASK, ONE_OFF_TASK, EPISODE, SHARED = 1, 2, 4, 16
CLASSES, LABELS, BIAS, PROJECTION = 0, 1, 2, 3
TASK_ID, EXAMPLES = 0, 1

# Episodes are made in pieces whose largest temporary stays in the cache of a CPU, or fills a GPU.
PIECE_BYTES = {"cpu": 8 << 20, "cuda": 1 << 30}


def check_device(device: str | torch.device) -> torch.device:
    """Return the device if this machine has it."""
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device={str(device)!r} cannot be used here ({reason}): give 'cpu', or 'cuda' with a GPU."
        ) from None


class TaskDistribution:
    """A distribution of supervised learning problems over one base dataset.

    Args:
        dataset: a registered name (see `gpicl envs`) or a `Dataset`.
        length: N, examples in an episode; drawn without replacement unless the dataset repeats by design.
        n_features: D, features of x.
        n_classes: K. Where the dataset has more, each task draws K of them.
        n_tasks: number of tasks, with ids 0 … n − 1, regenerated on demand; `None` gives endless one-off tasks.
        split: `"train"` or `"test"` images.
        projection: `"gaussian"` (A_ij ~ N(0, 1/N_x)), `"orthogonal"` (Haar-distributed, entries of variance 1/N_x), or
            `"none"` (x = x̄, needs D = N_x).
        permute_labels: whether ρ is random; otherwise it is the identity.
        permutation_bias: probability that a task gets one fixed permutation, common to all of them, instead of its own
            (the intervention that shortens the loss plateau).
        task_seed: seed of the numbered tasks and of the fixed permutation.
        image_size: if given, images are area-resized to this many pixels a side before the projection.
        route: how one-off projections are made. `"matrix"` draws A. `"cholesky"` draws x = L Z with L Lᵀ = X̄ X̄ᵀ / N_x
            and Z ~ N(0, 1)^{N×D}, which is the same distribution at a cost that does not grow with D·N_x. `"auto"`
            takes the one that draws fewer random numbers.
        device: where episodes are made.

    Raises:
        ValueError: an argument is out of range; the message says what is allowed.
    """

    def __init__(
        self,
        dataset: str | Dataset = "MNIST",
        *,
        length: int = 100,
        n_features: int = 784,
        n_classes: int = 10,
        n_tasks: int | None = None,
        split: str = "train",
        projection: str = "gaussian",
        permute_labels: bool = True,
        permutation_bias: float = 0.0,
        task_seed: int = 0,
        image_size: int | None = None,
        route: str = "auto",
        device: str | torch.device = "cpu",
    ) -> None:
        if isinstance(dataset, str):
            dataset = load_dataset(dataset, image_size)
        elif image_size is not None:
            dataset = dataset.resized(image_size)
        if split not in dataset.x:
            raise UnknownNameError(f"split of {dataset.name}", split, dataset.x)
        self.dataset, self.split, self.image_size = dataset, split, image_size
        self.device = check_device(device)
        self.n_features = check_integer("n_features", n_features, 1)
        self.n_classes = check_integer("n_classes", n_classes, 2, dataset.n_classes, f"{dataset.name} has no more")
        self.n_tasks = None if n_tasks is None else check_integer("n_tasks", n_tasks, 1, MAX_TASKS)
        self.projection = check_choice("projection", projection, PROJECTIONS)
        self.permute_labels = bool(permute_labels)
        self.permutation_bias = check_share("permutation_bias", permutation_bias)
        self.task_seed = check_integer("task_seed", task_seed, 0)
        self.length = check_integer("length", length, 1, self._longest, f"the {split} split of {dataset.name}")
        if projection == "none" and self.n_features != dataset.n_inputs:
            raise ValueError(
                f"projection='none' keeps the {dataset.n_inputs} inputs of {dataset.name}, but n_features="
                f"{n_features}: give n_features={dataset.n_inputs}, or another projection."
            )
        self.route = self._choose_route(check_choice("route", route, ROUTES))
        self._projector = Projection(self.projection, self.n_features, dataset.n_inputs, self.route)

    def __repr__(self) -> str:
        return f"TaskDistribution({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"

    @property
    def arguments(self) -> dict[str, Any]:
        """The constructor's arguments that shape the distribution, as plain JSON values."""
        names = ["length", "n_features", "n_classes", "n_tasks", "split", "projection", "permute_labels"]
        names += ["permutation_bias", "task_seed", "image_size", "route"]
        return {"dataset": self.dataset.name} | {name: getattr(self, name) for name in names}

    def sample(self, batch_size: int, seed: int = 0, first: int = 0) -> Episodes:
        """Return episodes number `first` … `first + batch_size − 1` of the stream `seed`."""
        check_integer("batch_size", batch_size, 1)
        numbers = np.arange(first, first + batch_size, dtype=np.uint64)
        return self.episodes(np.full(batch_size, seed % WORD, np.uint64), numbers)

    def episodes(
        self,
        seeds: NDArray[np.uint64],
        numbers: NDArray[np.uint64],
        task_ids: torch.Tensor | None = None,
        out: torch.Tensor | None = None,
    ) -> Episodes:
        """Return B episodes, each named by the seed of its stream and its number in that stream.

        Args:
            seeds: (B,) uint64.
            numbers: (B,) uint64.
            task_ids: (B,) int64 ids of the tasks to show, with a finite `n_tasks`; drawn uniformly by default.
            out: (B, N, D) float32 memory for the inputs; new by default, which costs a third more time for large B.
        """
        episode = Streams(seeds, numbers, self._purpose(EPISODE), self.device)
        tasks = self._tasks(seeds, numbers, episode, task_ids)
        index, class_number = self._draw_examples(episode, tasks)
        y = tasks.permutation.gather(1, class_number)
        return Episodes(self._project(tasks, index, out), y, index, tasks)

    def projections(self, tasks: Tasks) -> torch.Tensor | None:
        """Return A, (B, D, N_x) float32, or None where x = A x̄ is drawn without A (one-off tasks, Cholesky route)."""
        if self.route == "cholesky":
            return None
        if self.projection == "none":
            return torch.eye(self.n_features, device=self.device).expand(len(tasks.ids), -1, -1)
        noise = tasks.streams.normal(*self._projector.noise_shape(self.length), part=PROJECTION)
        return self._projector.matrices(noise)

    def images(self, index: torch.Tensor) -> torch.Tensor:
        """Return the z-normalised base inputs x̄, (*index.shape, N_x) float32."""
        mean, deviation = self.dataset.moments
        return self._inputs[index].float().sub_(mean).div_(deviation)

    # -- What is drawn ------------------------------------------------------------------------------------------------

    def _purpose(self, kind: int) -> int:
        """Streams of the two splits differ, so no one-off task or draw of meta-training returns in meta-testing."""
        return kind * len(SPLITS) + SPLITS.index(self.split)

    def _tasks(
        self, seeds: NDArray[np.uint64], numbers: NDArray[np.uint64], episode: Streams, ids: torch.Tensor | None
    ) -> Tasks:
        if self.n_tasks is None:
            if ids is not None:
                raise ValueError("task_ids need a finite n_tasks: one-off tasks have no ids.")
            ids = torch.full((len(seeds),), ONE_OFF, device=self.device)
            streams = Streams(seeds, numbers, self._purpose(ONE_OFF_TASK), self.device)
        else:
            if ids is None:
                ids = episode.below(self.n_tasks, 1, part=TASK_ID)[:, 0]
            elif bool(((ids < 0) | (ids >= self.n_tasks)).any()):
                raise ValueError(f"task_ids must lie in 0 … {self.n_tasks - 1} (n_tasks={self.n_tasks}), given {ids}.")
            streams = Streams(
                np.full(len(seeds), self.task_seed, np.uint64),
                ids.cpu().numpy().astype(np.uint64),
                FIXED_TASK,
                self.device,
            )
        return Tasks(ids, self._draw_classes(streams), self._draw_labels(streams), streams)

    def _draw_classes(self, streams: Streams) -> torch.Tensor:
        """(B, K) base classes: all of them in order, or K drawn ones."""
        if self.n_classes == self.dataset.n_classes:
            return torch.arange(self.n_classes, device=self.device).expand(len(streams), -1)
        return streams.permutation(self.dataset.n_classes, part=CLASSES)[:, : self.n_classes]

    def _draw_labels(self, streams: Streams) -> torch.Tensor:
        """(B, K) ρ."""
        if not self.permute_labels:
            return torch.arange(self.n_classes, device=self.device).expand(len(streams), -1)
        own = streams.permutation(self.n_classes, part=LABELS)
        if self.permutation_bias == 0:
            return own
        zero = np.zeros(1, np.uint64)
        fixed = Streams(zero + np.uint64(self.task_seed), zero, SHARED, self.device).permutation(self.n_classes)
        return torch.where(streams.uniform(1, part=BIAS) < self.permutation_bias, fixed, own)

    def _draw_examples(self, episode: Streams, tasks: Tasks) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N) example numbers in the split and (B, N) class numbers, uniform over the examples of the classes."""
        ends = self._class_counts[tasks.classes].cumsum(1)
        size = ends[:, -1:]
        if self.dataset.with_replacement:
            place = episode.below(size, self.length, part=EXAMPLES)
        elif 4 * self.length > self._smallest_pool:
            place = shuffle(episode, size, self.length, EXAMPLES)
        else:
            place = draw_distinct(episode, size, self.length, EXAMPLES)
        if self.n_classes == self.dataset.n_classes:
            return place, self._labels[place]
        class_number = torch.searchsorted(ends, place, right=True)
        base_class = tasks.classes.gather(1, class_number)
        within = place - (ends.gather(1, class_number) - self._class_counts[base_class])
        return self._by_class[self._class_starts[base_class] + within], class_number

    # -- How it is projected ------------------------------------------------------------------------------------------

    def _project(self, tasks: Tasks, index: torch.Tensor, out: torch.Tensor | None) -> torch.Tensor:
        """(B, N, D) projected inputs, made in pieces that bound the memory beside the result."""
        if self.projection == "none":
            return self.images(index)
        shape = self._projector.noise_shape(self.length)
        floats = shape[0] * shape[1] + self.length * (self.length + self.dataset.n_inputs)
        size = max(1, PIECE_BYTES.get(self.device.type, PIECE_BYTES["cpu"]) // (4 * floats))
        x = torch.empty(len(index), self.length, self.n_features, device=self.device) if out is None else out
        for start in range(0, len(index), size):
            piece = slice(start, start + size)
            noise = tasks.streams[piece].normal(*shape, part=PROJECTION)
            same = index[piece] if self.dataset.with_replacement else None
            self._projector.project(self.images(index[piece]), noise, same, x[piece])
        return x

    def _choose_route(self, route: str) -> str:
        if self.n_tasks is not None or self.projection == "none":
            if route == "cholesky":
                raise ValueError(
                    "route='cholesky' draws the inputs of one-off tasks without a matrix: it needs n_tasks=None and a "
                    f"random projection, given n_tasks={self.n_tasks} and projection={self.projection!r}."
                )
            return "matrix"
        if route == "cholesky" and self.length > self.dataset.n_inputs:
            raise ValueError(
                f"route='cholesky' needs length <= N_x: the covariance of {self.length} inputs of "
                f"{self.dataset.n_inputs} values is singular. Give route='auto' or 'matrix'."
            )
        fewest = "cholesky" if self.length < self.dataset.n_inputs else "matrix"
        return fewest if route == "auto" else route

    # -- The base dataset, on the device ------------------------------------------------------------------------------

    @cached_property
    def _inputs(self) -> torch.Tensor:
        """(M, N_x) in the dataset's own dtype: 8-bit images stay 8-bit."""
        return torch.from_numpy(self.dataset.split(self.split)[0]).to(self.device)

    @cached_property
    def _labels(self) -> torch.Tensor:
        return torch.from_numpy(self.dataset.split(self.split)[1]).to(self.device)

    @cached_property
    def _class_counts(self) -> torch.Tensor:
        return torch.bincount(self._labels, minlength=self.dataset.n_classes)

    @cached_property
    def _class_starts(self) -> torch.Tensor:
        return self._class_counts.cumsum(0) - self._class_counts

    @cached_property
    def _by_class(self) -> torch.Tensor:
        """(M,) example numbers, sorted by class."""
        return self._labels.argsort(stable=True)

    @cached_property
    def _smallest_pool(self) -> int:
        """Examples of the K smallest classes: what every task has at the least."""
        return int(self._class_counts.sort().values[: self.n_classes].sum())

    @property
    def _longest(self) -> int | None:
        return None if self.dataset.with_replacement else self._smallest_pool
