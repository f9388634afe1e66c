"""`TaskDistribution`: a base dataset, randomly projected and relabelled, as a distribution of learning problems.

A task is x = A x̄ with A ∈ R^{D×N_x}, A_ij ~ N(0, 1/N_x), and y = ρ(ȳ) with ρ a permutation of the labels
(Kirsch et al. 2022, "General-Purpose In-Context Learning", section 3). Which examples are shown is decided in
`sampling/examples.py`, their labels in `sampling/labels.py`, their inputs in `sampling/inputs.py`.
"""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gpicl_envs.datasets.dataset import Dataset, Location
from gpicl_envs.datasets.registry import ARRAY_ID, DATASETS, find_dataset, load_dataset, prepare_dataset
from gpicl_envs.datasets.synthetic import N_CLASSES, check_clusters, shaped_clusters
from gpicl_envs.datasets.user import NpzFile, is_path
from gpicl_envs.errors import (
    check_choice,
    check_fraction,
    check_integer,
    check_number,
    printable,
)
from gpicl_envs.sampling.class_sequences import Sequences
from gpicl_envs.sampling.distribution import MAX_TASKS, check_device
from gpicl_envs.sampling.examples import ORDERS, RANDOM, Examples
from gpicl_envs.sampling.inputs import PROJECTIONS, Inputs, choose_route
from gpicl_envs.sampling.labels import (
    add_label_noise,
    add_noise_among,
    apply_permutations,
    check_bias,
    draw_permutations,
)
from gpicl_envs.sampling.philox import WORD, Streams
from gpicl_envs.sampling.pool import Pool, check_counts
from gpicl_envs.sampling.shift import check_spectrum
from gpicl_envs.tasks.base import LENGTH, RETURN, EpisodeDistribution, Task, check_drift, check_drift_every
from gpicl_envs.tasks.episodes import ClassificationTasks, Episodes

MAX_IMAGE_SIZE = 1024  # pixels a side
DRIFTS = ("task", "projection", "labels", RETURN)


class TaskDistribution(EpisodeDistribution):
    """A distribution of classification problems over one base dataset.

    Args:
        dataset: a registered name (see `gpicl envs`), NAME for a file NAME.npz in the data folder, the path of an .npz
            file (`./mine.npz`), or a `Dataset`.
        length: N, examples in an episode, drawn without replacement unless the dataset repeats by design; 100 by
            default, K · shots + 1 with `shots`.
        n_features: D, features of x.
        n_classes: K; 10 by default, or all classes if there are fewer. If there are more than K, each task draws K of
            those that the split has.
        n_tasks: number of tasks, with ids 0 … n − 1, regenerated on demand; `None` gives endless one-off tasks.
        split: `"train"` or `"test"` images.
        projection: `"gaussian"` (A_ij ~ N(0, 1/N_x)), `"orthogonal"` (Haar-distributed, entries of variance 1/N_x), or
            `"none"` (x = x̄, needs D = N_x).
        permute_labels: whether ρ is random; otherwise it is the identity.
        permutation_bias: probability that a task gets one fixed permutation, common to all tasks, instead of a random
            one (the intervention that shortens the loss plateau).
        label_noise: probability that a label is replaced by one of the K − 1 others, uniformly. The noisy label is
            shown and rewarded: no agent can be right more often than 1 − label_noise.
        class_imbalance: ratio ≥ 1 of the probabilities of the most and the least frequent class, with the others
            between them on a geometric scale (the long tail of Cui et al. 2019); each task ranks its classes at random.
        drift_every: if given, the task changes every `drift_every` examples.
        drift: what changes then: `"projection"` (A), `"labels"` (ρ), or `"task"` (both, if they are random). With
            `"return"`, both change back every second time: tasks A, B, A, B, … in at least three segments.
        distractors: number of the D features that are N(0, 1) noise, drawn for each example, at places that each task
            draws; A fills the others.
        x_spectrum: factors of the features, of mean square 1, in an order that each task draws: `"flat"` (all are 1),
            `"skewed"` (in the ratios 1, 1/2, 1/3, …), or `"subspace"` (half of them are 0).
        x_scale: factor of x.
        shots: if given, the first K · shots examples are `shots` of each class, in random order; the classes of the
            queries after them are uniform.
        active_classes: `(low, high)`, or one number: each task draws how many classes it uses, uniformly from low …
            high, and which of those that the split has; their labels are among the K at random (with
            `permute_labels=False`, the m-th class in order has label m mod K). If more than K, classes share labels; if
            fewer, no other label occurs, so that K may exceed the number of classes that the dataset has.
        classes: `(first, stop)`: only base classes first … stop − 1 occur, so that others are held out for evaluation
            (there, give their range).
        burstiness: if given, the examples before the last one (the query) are of (N − 1) / burstiness classes, each
            that many times in random order, and the query is of one of these (Chan et al. 2022, Reddy 2024).
        p_bursty: fraction of the episodes that are bursty; in the others, each example is of an independent class.
        zipf: classes have odds 1, 2^−zipf, 3^−zipf, … in the order of their numbers, the same for every task; those of
            bursty episodes are drawn without replacement.
        query: `"in-context"`: the class of the last example is that of one before it, chosen uniformly;
            `"not-in-context"`: it is drawn from the classes that did not occur, so that only memory can know it.
        n_clusters: number of classes of the dataset Clusters; its means have length 4.
        within_class_noise: standard deviation of each input of Clusters around the mean of its class. The best possible
            accuracy on base inputs is `dataset.bayes_accuracy`.
        examples_per_task: if given, each task draws this many examples once, and its episodes show them in different
            orders: a learner can memorise them one by one.
        order: `"random"`, or `"stream"`: an episode shows `length` successive examples in the order of the data, from a
            random place on (from the first one, if `length` is all of them), as prequential evaluation does.
        task_seed: seed of the numbered tasks and of the fixed permutation.
        image_size: if given, images are resized to this many pixels a side before the projection, by area averaging.
        features: if given, images are replaced by the features of this frozen ImageNet network (computed once, cached),
            which sees them at `image_size`; see `gpicl_envs.datasets.features.EXTRACTORS`.
        route: how one-off projections are made. `"matrix"` draws A. `"cholesky"` draws x = L Z with L Lᵀ = X̄ X̄ᵀ / N_x
            and Z ~ N(0, 1)^{N×D}, which is the same distribution at a cost that does not grow with D·N_x. `"auto"`
            takes the one that draws fewer random numbers.
        device: where episodes are made.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        dataset: str | os.PathLike[str] | Dataset = "MNIST",
        *,
        length: int | None = None,
        n_features: int = 784,
        n_classes: int | None = None,
        n_tasks: int | None = None,
        split: str = "train",
        projection: str = "gaussian",
        permute_labels: bool = True,
        permutation_bias: float = 0.0,
        label_noise: float = 0.0,
        class_imbalance: float = 1.0,
        drift_every: int | None = None,
        drift: str = "task",
        distractors: int = 0,
        x_spectrum: str = "flat",
        x_scale: float = 1.0,
        shots: int | None = None,
        active_classes: int | Sequence[int] | None = None,
        classes: Sequence[int] | None = None,
        burstiness: int | None = None,
        p_bursty: float = 1.0,
        zipf: float = 0.0,
        query: str | None = None,
        n_clusters: int = N_CLASSES,
        within_class_noise: float = 1.0,
        examples_per_task: int | None = None,
        order: str = RANDOM,
        task_seed: int = 0,
        image_size: int | None = None,
        features: str | None = None,
        route: str = "auto",
        device: str | torch.device = "cpu",
    ) -> None:
        self.n_clusters, self.within_class_noise = check_clusters(n_clusters, within_class_noise)
        self._load(dataset, image_size, features)
        self.split, self.device = split, check_device(device)
        pool = Pool(self.dataset, split, classes, self.device)
        counts = self._check_classes(pool, n_classes, active_classes)
        self.shots = None if shots is None else check_integer("shots", shots, 1)
        usual = LENGTH if self.shots is None else counts[1] * self.shots + 1
        self.length = check_integer("length", usual if length is None else length, 1)
        self.n_features = check_integer("n_features", n_features, 1)
        self.n_tasks = None if n_tasks is None else check_integer("n_tasks", n_tasks, 1, MAX_TASKS)
        self.projection = check_choice("projection", projection, PROJECTIONS)
        self.permute_labels, self.permutation_bias = check_bias(permute_labels, permutation_bias)
        self.label_noise = check_fraction("label_noise", label_noise)
        self.class_imbalance = check_number("class_imbalance", class_imbalance, 1)
        self.drift_every = check_drift_every(drift_every, self.length)
        self.drift = check_drift(drift, DRIFTS, self.drift_every, self.length)
        self.distractors = check_integer("distractors", distractors, 0, n_features - 1, "x needs another feature too")
        self.x_spectrum, self.x_scale = check_spectrum(x_spectrum, x_scale, self.n_features)
        self.task_seed = check_integer("task_seed", task_seed, 0, WORD - 1)
        self._check_that_drift_changes_something()
        self.p_bursty, self.zipf, self.query = p_bursty, zipf, query
        self.burstiness = None if burstiness is None else check_integer("burstiness", burstiness, 1)
        self.examples_per_task, self.order = examples_per_task, check_choice("order", order, ORDERS)
        self._prepare(pool, counts, route)

    def _load(self, dataset: str | os.PathLike[str] | Dataset, image_size: int | None, features: str | None) -> None:
        """Find and load the base dataset."""
        self._spec = None if isinstance(dataset, Dataset) else find_dataset(dataset)
        self._given, self.features = dataset, features
        self.name = printable((self._spec or dataset).name)  # type: ignore[union-attr]
        self.image_size = None if image_size is None else check_integer("image_size", image_size, 1, MAX_IMAGE_SIZE)
        clusters = shaped_clusters(self._spec, self.name, self.n_clusters, self.within_class_noise)
        self.dataset = prepare_dataset(clusters or dataset, image_size, features)

    def _check_classes(
        self, pool: Pool, n_classes: int | None, active_classes: int | Sequence[int] | None
    ) -> tuple[int, int]:
        """Set K, and which of the classes may occur; return the fewest and the most that a task uses."""
        self.classes = None if pool.range is None else list(pool.range)
        k, no_more = pool.default_n_classes if n_classes is None else n_classes, f"{self.name} has no more"
        most = (self.dataset.n_classes, no_more) if active_classes is None else ()
        self.n_classes = check_integer("n_classes", k, 2, *most)
        all_classes = self.n_classes, self.n_classes
        self.active_classes, counts = check_counts(active_classes, len(pool.present), no_more, all_classes)
        return counts

    def _prepare(self, pool: Pool, counts: tuple[int, int], route: str) -> None:
        """Make what draws the labels, the examples and the inputs."""
        self._label_segments = self.segments(self._drifts("labels"))
        sequences = Sequences(self.burstiness, self.p_bursty, self.zipf, self.query)
        self.p_bursty, self.zipf = float(self.p_bursty), float(self.zipf)
        given = self.shots, self.class_imbalance, self.examples_per_task, sequences, self.order
        self._examples = Examples(pool, self.length, counts, self.active_classes is not None, *given)
        self.examples_per_task = None if self.examples_per_task is None else int(self.examples_per_task)
        runs = self.runs(self._drifts("projection"))
        n_inputs, longest = self.dataset.n_inputs, max(map(len, runs))
        self.route = choose_route(route, self.projection, self.n_tasks is None, longest, n_inputs)
        shape = self.n_features, self.projection, self.distractors, runs, self.route
        self._inputs = Inputs(self.dataset, self.split, *shape, self.x_spectrum, self.x_scale, self.device)

    @property
    def fingerprint(self) -> str:
        """The sha256 of the base dataset's inputs and labels."""
        return self.dataset.fingerprint

    @property
    def env_id(self) -> str:
        """The id of the environment that shows these episodes; `GPICL-Array-v0` for data without an id."""
        spec = self._spec
        return spec.env_id if spec is not None and spec is DATASETS.get(spec.name) and spec.has_env_id else ARRAY_ID

    def unseen(self) -> "TaskDistribution":
        """Return the same with one-off tasks of test images, without bias: what meta-training never shows."""
        changes = {"n_tasks": None, "split": "test", "route": "auto", "permutation_bias": 0.0}
        return TaskDistribution(**self._constructor_arguments() | changes)

    def _constructor_arguments(self) -> dict[str, Any]:
        given = self._given
        if isinstance(given, Dataset) or self._spec is None:
            pass
        elif self._spec.location() == Location("memory"):
            given = load_dataset(given)  # arrays that only this process knows by name are pickled too
        elif isinstance(self._spec.files, NpzFile) and is_path(os.fspath(given)):
            given = str(self._spec.files.path)  # absolute: another process may work in another folder
        return super()._constructor_arguments() | {"dataset": given}

    def images(self, index: torch.Tensor) -> torch.Tensor:
        """Return the z-normalised base inputs x̄, (*index.shape, N_x) float32."""
        return self._inputs.images(index)

    def projections(self, tasks: ClassificationTasks, segment: NDArray[np.int64] | None = None) -> torch.Tensor | None:
        """Return A, (B, D, N_x) float32, or None if x = A x̄ is drawn without A (one-off tasks, Cholesky route).

        Args:
            tasks: B tasks.
            segment: (B,) the segment of a drifting task; the first by default. Distractors have rows of zeros.
        """
        segment = np.zeros(len(tasks), np.int64) if segment is None else self.version(segment)
        return self._inputs.matrices(tasks.streams, segment)

    def hidden(self, episodes: Episodes, position: NDArray[np.int64]) -> Task:
        """Return the B hidden tasks, each at its current example (B,)."""
        tasks, segment = episodes.tasks, self.segment_of(position)
        of_labels = torch.from_numpy(segment).to(self.device).clamp(max=tasks.permutation.shape[1] - 1)
        permutation = tasks.permutation[torch.arange(len(tasks), device=self.device), of_labels]
        return Task(tasks.ids, tasks.classes, permutation, self.projections(tasks, segment), active=tasks.active)

    def base_input(self, episodes: Episodes, row: int, position: int) -> NDArray[np.float32]:
        """Return the z-normalised base input behind one x, in the dataset's shape."""
        return self.images(episodes.index[row, position]).cpu().numpy().reshape(self.dataset.shape)

    def _make_tasks(self, ids: torch.Tensor, streams: Streams) -> ClassificationTasks:
        classes, active = self._examples.classes(streams)
        n_numbers, n_labels = classes.shape[1], max(self.n_classes, classes.shape[1])
        if self.permute_labels:
            versions = [self.version(segment) for segment in range(len(self._label_segments))]
            own = draw_permutations(streams, n_labels, max(versions) + 1, self.permutation_bias, self.task_seed)
            rho = torch.stack([own[:, version] for version in versions], dim=1)
        else:
            rho = torch.arange(n_labels, device=self.device).expand(len(streams), 1, -1)
        return ClassificationTasks(ids, streams, classes, rho[..., :n_numbers] % self.n_classes, active)

    def _make_episodes(self, tasks: ClassificationTasks, episode: Streams, out: torch.Tensor) -> Episodes:
        index, number = self._examples.draw(episode, tasks.streams, tasks.classes, tasks.active)
        self._inputs.write(tasks.streams, episode, index, out)
        if self.label_noise and self.active_classes is not None:
            number = add_noise_among(number, tasks.active, self.label_noise, episode)
        y = apply_permutations(tasks.permutation, number, self._label_segments)
        if self.label_noise and self.active_classes is None:
            y = add_label_noise(y, self.n_classes, self.label_noise, episode)
        return Episodes(out, y, index, tasks)

    def _drifts(self, what: str) -> bool:
        return self.drift_every is not None and self.drift in (what, "task", RETURN)

    def _check_that_drift_changes_something(self) -> None:
        random = {"projection": self.projection != "none", "labels": self.permute_labels}
        if self.drift_every is not None and not random.get(self.drift, any(random.values())):
            raise ValueError(
                f"drift={self.drift!r} has nothing to change: projection={self.projection!r} and permute_labels="
                f"{self.permute_labels} fix it. Make it random, or leave drift_every out."
            )
