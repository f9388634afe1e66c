"""`TableDistribution`: synthetic tables of rows and columns, as a distribution of learning problems.

A prior for meta-training, in the manner of prior-fitted networks (Müller et al. 2022, arXiv:2112.10510; Hollmann et al.
2023, TabPFN, arXiv:2207.01848): a learner that has seen enough of it can learn from small real tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gpicl_envs.errors import check_choice, check_integer
from gpicl_envs.sampling.columns import LARGEST, mixed, normal_scores, transformed
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.pool import check_counts
from gpicl_envs.sampling.substreams import TABLE
from gpicl_envs.sampling.teachers import KINDS, Draws, class_scores, standardised
from gpicl_envs.tasks.base import LENGTH, EpisodeDistribution, Task
from gpicl_envs.tasks.episodes import Episodes, Tasks

MOST_COLUMNS = 64
NAME = "SyntheticTables"


@dataclass(frozen=True)
class TableTasks(Tasks):
    """The hidden side of B tables.

    Args:
        ids: (B,) int64 task ids, −1 for one-off tasks.
        streams: the B streams of random words from which the tasks are made.
        kind: (B,) int64, the rule among `sampling.teachers.KINDS`.
        n_columns: (B,) int64.
        n_factors: (B,) int64, independent numbers that the columns are mixed from.
        n_active: (B,) int64 classes in use.
        slots: (B, K) int64, the label of each class number.
    """

    kind: torch.Tensor
    n_columns: torch.Tensor
    n_factors: torch.Tensor
    n_active: torch.Tensor
    slots: torch.Tensor


class TableDistribution(EpisodeDistribution):
    """A distribution of synthetic tables.

    Each task draws its number of columns (log-uniform from 2 to 64, or to D if that is less), of classes (the least of
    `active_classes` with probability 0.4, otherwise uniform over them), and one of five rules with equal probability:
    linear scores, a network with one hidden layer, nearest prototypes, decision trees, or Gaussian clusters. Columns
    are mixed from independent factors, made skewed or discrete, standardised over the episode, and with probability ¼
    replaced by the normal scores of their ranks. With probability ½ the rule reads the columns before they are made
    skewed or discrete, otherwise the factors. Half of the tables have noisy scores; three in ten have random labels,
    at up to a fifth of the rows. With probability ½ the columns are features of x at random places, otherwise they go
    through a Gaussian projection; both with |x|² ≈ D.

    Args:
        prior: `"SyntheticTables"`.
        length: N, examples (rows) in an episode.
        n_features: D, features of x.
        n_classes: K; with 1 the targets are real values (regression): the score that the rule gives, with noise,
            standardised over the episode (rarely constant, then 0); there are no clusters then.
        active_classes: `(low, high)`, the least and the most classes of a task, or one number; 2 and K by default.
        n_tasks: number of tasks, with ids 0 … n − 1, regenerated on demand; `None` gives endless one-off tasks.
        split: `"train"` or `"test"`, which share no one-off tasks and no rows.
        task_seed: seed of the numbered tasks.
        device: where episodes are made.

    Raises:
        ValueError: an argument is out of range.
    """

    drift_every = None

    def __init__(
        self,
        prior: str = NAME,
        *,
        length: int = LENGTH,
        n_features: int = 784,
        n_classes: int = 10,
        active_classes: int | Sequence[int] | None = None,
        n_tasks: int | None = None,
        split: str = "train",
        task_seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        self.name = check_choice("prior", prior, (NAME,))
        self.length = check_integer("length", length, 2, why="columns are standardised over the episode")
        self.n_features = check_integer("n_features", n_features, 2)
        self.n_classes = check_integer("n_classes", n_classes, 1)
        if self.is_regression and active_classes is not None:
            raise ValueError(f"active_classes={active_classes!r} is for labels, but n_classes=1 gives values: omit it.")
        two_or_more = min(2, self.n_classes), self.n_classes
        self.active_classes, self._counts = check_counts(active_classes, self.n_classes, "n_classes", two_or_more)
        self._set_common(n_tasks, split, task_seed, device)
        self.most_columns = min(MOST_COLUMNS, self.n_features)

    def hidden(self, episodes: Episodes, position: NDArray[np.int64]) -> Task:
        """Return the B hidden tasks: the number of each rule among `sampling.teachers.KINDS`, and the sizes."""
        tasks = episodes.tasks
        facts = {name: getattr(tasks, name) for name in ("kind", "n_columns", "n_factors", "n_active")}
        if self.is_regression:
            return Task(tasks.ids, parameters=facts)
        active = torch.arange(self.n_classes, device=self.device) < tasks.n_active[:, None]
        return Task(tasks.ids, permutation=tasks.slots, parameters=facts, active=active)

    def base_input(self, episodes: Episodes, row: int, position: int) -> NDArray[np.float32]:
        """Return the input itself, (D,): there is no base input."""
        return episodes.x[row, position].cpu().numpy()

    def _make_tasks(self, ids: torch.Tensor, streams: Streams) -> TableTasks:
        draw = Draws(streams, TABLE)
        size, kind, is_two, active, factors = draw.uniform(5).unbind(1)
        n_columns = (2 * ((self.most_columns + 1) / 2) ** size).long().clamp(2, self.most_columns)
        low, high = self._counts
        kinds = len(KINDS) - self.is_regression  # clusters are of classes
        n_active = torch.where(is_two < 0.4, low, low + ((high - low + 1) * active).long().clamp(max=high - low))
        return TableTasks(
            ids,
            streams,
            kind=(kinds * kind).long().clamp(max=kinds - 1),
            n_columns=n_columns,
            n_factors=((n_columns + 1) ** factors).long().clamp_min(1).minimum(n_columns),
            n_active=n_active,
            slots=draw.permutation(self.n_classes),
        )

    def _make_episodes(self, tasks: TableTasks, episode: Streams, out: torch.Tensor) -> Episodes:
        draw, noise = Draws(tasks.streams, 2 * TABLE), Draws(episode, TABLE)
        places = torch.arange(self.most_columns, device=self.device)
        has_column, has_factor = places < tasks.n_columns[:, None], places < tasks.n_factors[:, None]
        factors = noise.normal(self.length, self.most_columns) * has_factor[:, None]
        group, factors = self._clusters(draw, noise, tasks, factors)
        columns = standardised(mixed(draw, factors, has_column[:, None], tasks.n_factors))
        columns = columns + draw.between(0, 0.6) * noise.normal(self.length, self.most_columns)
        columns = standardised(columns) * has_column[:, None]
        reads_columns = draw.chance(0.5)
        read = torch.where(reads_columns, columns, factors)
        n_read = torch.where(reads_columns[:, 0, 0], tasks.n_columns, tasks.n_factors)
        read = read * self._relevance(draw, places < n_read[:, None])
        scores = class_scores(draw, tasks.kind, read, n_read, self.n_classes)
        number = self._labels(draw, noise, tasks, scores, group)
        self._place(draw, transformed(draw, columns), has_column, tasks.n_columns, out)
        y = self._values(draw, noise, scores) if self.is_regression else tasks.slots.gather(1, number)
        return Episodes(out, y, torch.full_like(number, -1), tasks)

    def _values(self, draw: Draws, noise: Draws, scores: torch.Tensor) -> torch.Tensor:
        """(B, N, 1) scores → (B, N) targets: half of them with noise of up to 0.7 standard deviations."""
        deviation = torch.where(draw.chance(0.5), draw.between(0, 0.7), 0.0)
        return standardised(scores + deviation * noise.normal(self.length, 1))[..., 0]

    def _clusters(
        self, draw: Draws, noise: Draws, tasks: TableTasks, factors: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N) class numbers and (B, N, F) factors, in Gaussian clusters where the task is of that kind."""
        k, f = self.n_classes, factors.shape[2]
        unused = torch.arange(k, device=self.device) >= tasks.n_active[:, None]
        frequency = (draw.between(0, 1)[..., 0] * draw.normal(k)).masked_fill(unused, -torch.inf).softmax(1)
        number = torch.searchsorted(frequency.cumsum(1), noise.uniform(self.length))
        number = torch.minimum(number, tasks.n_active[:, None] - 1)
        centre = draw.normal(k, f) * draw.between(1, 4) * tasks.n_factors[:, None, None].float() ** -0.5
        width = 0.3 + draw.uniform(k, f)
        of_row = number[..., None].expand(-1, -1, f)
        has_factor = torch.arange(f, device=self.device) < tasks.n_factors[:, None]
        clustered = (centre.gather(1, of_row) + factors * width.gather(1, of_row)) * has_factor[:, None]
        is_clusters = (tasks.kind == KINDS.index("clusters"))[:, None, None]
        return number, torch.where(is_clusters, clustered, factors)

    def _relevance(self, draw: Draws, is_read: torch.Tensor) -> torch.Tensor:
        """(B, 1, F) how much the rule depends on each number: log-normal, zero for some, of mean square 1."""
        first = torch.arange(self.most_columns, device=self.device) == 0  # so that one is left
        kept = (draw.uniform(self.most_columns) < draw.between(0.3, 1.3)[..., 0]) | first
        weight = (draw.normal(self.most_columns) * draw.between(0, 1)[..., 0]).exp() * (kept & is_read)
        mean_square = weight.square().sum(1) / is_read.sum(1)
        return (weight / mean_square.sqrt()[:, None])[:, None]

    def _labels(
        self, draw: Draws, noise: Draws, tasks: TableTasks, scores: torch.Tensor, group: torch.Tensor
    ) -> torch.Tensor:
        """(B, N) class numbers below n_active, by the noisy scores or by cluster, some of them random."""
        k = self.n_classes
        unused = (torch.arange(k, device=self.device) >= tasks.n_active[:, None])[:, None]
        scores = scores + draw.between(0, 0.7) * draw.normal(1, k)
        gumbel = -(-noise.uniform(self.length, k).clamp(1e-6, 1 - 1e-6).log()).log()
        temperature = torch.where(draw.chance(0.5), draw.between(0, 0.5), 0.0)
        number = (scores + temperature * gumbel).masked_fill(unused, -torch.inf).argmax(2)
        number = torch.where(tasks.kind[:, None] == KINDS.index("clusters"), group, number)
        rate = torch.where(draw.chance(0.3), draw.between(0, 0.2), 0.0)[..., 0]
        random = (noise.uniform(self.length) * tasks.n_active[:, None]).long()
        random = torch.minimum(random, tasks.n_active[:, None] - 1)
        return torch.where(noise.uniform(self.length) < rate, random, number)

    def _place(
        self, draw: Draws, columns: torch.Tensor, has_column: torch.Tensor, n_columns: torch.Tensor, out: torch.Tensor
    ) -> None:
        """Write the columns (B, N, F) into x (B, N, D): at random places, or through a Gaussian projection."""
        by_rank = draw.chance(0.25)
        columns = torch.where(by_rank, normal_scores(columns), columns.clamp(-LARGEST, LARGEST)) * has_column[:, None]
        on_axes = draw.chance(0.5)
        projection = draw.normal(self.most_columns, self.n_features) * n_columns[:, None, None].float() ** -0.5
        places = draw.permutation(self.n_features)[:, : self.most_columns, None]
        size = ((self.n_features / n_columns.float()) ** 0.5)[:, None, None].expand(-1, self.most_columns, 1)
        axes = torch.zeros_like(projection).scatter_(2, places, size)
        torch.bmm(columns, torch.where(on_axes, axes, projection), out=out)
