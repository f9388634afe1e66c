"""`RealTableDistribution`: a small real table, of which an episode shows some rows and then asks for one more.

For evaluation on tables as scikit-learn's users have them: so many rows to learn from, chosen at random but stratified
by class, and others to classify.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gpicl_envs.datasets.dataset import SPLITS, as_tensor
from gpicl_envs.datasets.tables import load_table
from gpicl_envs.errors import check_choice, check_integer
from gpicl_envs.sampling.columns import LARGEST
from gpicl_envs.sampling.distribution import check_device
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.substreams import TABLE
from gpicl_envs.tasks.base import EpisodeDistribution, Task
from gpicl_envs.tasks.episodes import Episodes, Tasks

LENGTH = 101
QUERIES = 16
ROWS, ORDER, PLACES, SIGNS, SLOTS = range(TABLE, TABLE + 5)  # substreams of a draw's stream


@dataclass(frozen=True)
class RealTableTasks(Tasks):
    """The hidden side of B draws of rows from one table of C columns and K' classes.

    Args:
        ids: (B,) int64, the number of the draw in its stream; those of `queries` episodes are equal.
        streams: the B streams of random words from which the draws are made.
        rows: (B, N) int64, the rows of the table that the episode shows, the query last.
        places: (B, C) int64, the feature of x in which each column is.
        signs: (B, C) float64, ±1.
        slots: (B, K') int64, the label of each class.
    """

    rows: torch.Tensor
    places: torch.Tensor
    signs: torch.Tensor
    slots: torch.Tensor


class RealTableDistribution(EpisodeDistribution):
    """A small real table: N − 1 of its rows, then one query.

    The rows are a random choice, stratified by class, in random order; the query is another row. Every `queries`
    episodes in a row show the same N − 1 rows and ask for another row each, so that they have one task id, over which
    intervals are taken. Columns are standardised over the N − 1 rows, cut at ±5 standard deviations, and put at random
    places among the D features with random signs and |x|² ≈ D; a constant column is 0, as are all other features.
    Classes get random labels among the K.

    Args:
        table: iris, wine or breast-cancer (with scikit-learn); australian, banana, heart, ionosphere, phoneme, pima,
            satimage, segment, sonar or vehicle of the KEEL repository, see `gpicl_envs.datasets.tables.load_table`.
        length: N, rows that an episode shows.
        queries: episodes in a row that show the same rows but for the last.
        n_features: D, features of x, at least as many as the table has columns.
        n_classes: K, at least as many as the table has classes.
        split: `"train"` or `"test"`, which share no draws of rows, but the rows themselves.
        device: where episodes are made.

    Raises:
        ValueError: an argument is out of range, or the table's file is missing or damaged.
    """

    n_tasks = drift_every = None
    task_seed = 0

    def __init__(
        self,
        table: str = "iris",
        *,
        length: int = LENGTH,
        queries: int = QUERIES,
        n_features: int = 784,
        n_classes: int = 10,
        split: str = "train",
        device: str | torch.device = "cpu",
    ) -> None:
        self.dataset = load_table(table)
        self.name, (x, y) = table, self.dataset.split("train")
        self.length = check_integer("length", length, 3, len(y) - 1, f"{table} has {len(y)} rows")
        most = len(y) - self.length + 1
        self.queries = check_integer("queries", queries, 1, most, f"so many of the {len(y)} rows of {table} are left")
        self.n_features = check_integer("n_features", n_features, x.shape[1], why=f"the columns of {table}")
        self.n_classes = check_integer("n_classes", n_classes, self.dataset.n_classes, why=f"the classes of {table}")
        self.split = check_choice("split", split, SPLITS)
        self.device = check_device(device)
        self._x = as_tensor(x).to(self.device).double()
        self._y = as_tensor(y).to(self.device)

    @property
    def fingerprint(self) -> str:
        """The sha256 of the table's columns and labels."""
        return self.dataset.fingerprint

    @property
    def env_id(self) -> str:
        """The id of the environment that shows these episodes, given this `table`."""
        return "GPICL-RealTable-v0"

    def unseen(self) -> "RealTableDistribution":
        """Return the same of the test split: draws of rows that meta-training never shows."""
        return RealTableDistribution(**self._constructor_arguments() | {"split": "test"})

    def hidden(self, episodes: Episodes, position: NDArray[np.int64]) -> Task:
        """Return the B hidden tasks: the label of each class, and the places and signs of the columns."""
        tasks = episodes.tasks
        facts = {"places": tasks.places, "signs": tasks.signs}
        return Task(tasks.ids, permutation=tasks.slots, parameters=facts, active=torch.ones_like(tasks.slots).bool())

    def base_input(self, episodes: Episodes, row: int, position: int) -> NDArray[np.float32]:
        """Return the row of the table itself, (C,)."""
        return self.dataset.split("train")[0][int(episodes.index[row, position])]

    def _task_streams(self, episode: Streams, ids: torch.Tensor | None) -> tuple[torch.Tensor, Streams]:
        """(B,) numbers of the draws, and their streams; the words of the episodes' own streams are not needed."""
        if ids is not None:
            raise ValueError("task_ids need a finite n_tasks: the draws of a real table go by the episode's number.")
        ids = torch.from_numpy(episode.number.astype(np.int64) // self.queries).to(self.device)
        return ids, super()._task_streams(episode, None)[1]

    def _make_tasks(self, ids: torch.Tensor, streams: Streams) -> RealTableTasks:
        query = streams.number.astype(np.int64) % self.queries
        draw = Streams(streams.key, streams.number // np.uint64(self.queries), streams.purpose, self.device)
        n_columns, n_shown = self._x.shape[1], self.length - 1
        chosen = self._stratified(draw)
        order = draw.permutation(n_shown, substream=ORDER)
        asked = chosen.gather(1, torch.from_numpy(n_shown + query).to(self.device)[:, None])
        return RealTableTasks(
            ids,
            draw,
            rows=torch.cat([chosen.gather(1, order), asked], 1),
            places=draw.permutation(self.n_features, substream=PLACES)[:, :n_columns],
            signs=(2 * draw.below(2, n_columns, substream=SIGNS) - 1).double(),
            slots=draw.permutation(self.n_classes, substream=SLOTS)[:, : self.dataset.n_classes],
        )

    def _stratified(self, draw: Streams) -> torch.Tensor:
        """(B, M) all rows, in an order of which every beginning has each class in proportion, up to one row.

        The rows of a class of m rows, in random order, stand at the places (i + u) / m, with one random u for each
        class: systematic sampling.
        """
        count = torch.bincount(self._y)
        words = draw.uniform(len(self._y) + len(count), substream=ROWS)
        keys, shift = words[:, : len(self._y)], words[:, len(self._y) :]
        by_class = (keys + self._y).argsort(dim=1, stable=True)
        label = self._y[by_class]
        within = torch.arange(len(self._y), device=self.device) - (count.cumsum(0) - count)[label]
        place = (within + shift.gather(1, label)) / count[label]
        return by_class.gather(1, place.argsort(dim=1, stable=True))

    def _make_episodes(self, tasks: RealTableTasks, episode: Streams, out: torch.Tensor) -> Episodes:
        columns = self._x[tasks.rows]  # (B, N, C)
        shown = columns[:, :-1]
        deviation, mean = shown.std(1, correction=0, keepdim=True), shown.mean(1, keepdim=True)
        varies = shown.amax(1, keepdim=True) > shown.amin(1, keepdim=True)
        columns = ((columns - mean) / deviation.where(varies, 1.0)).clamp(-LARGEST, LARGEST) * varies
        size = (self.n_features / varies.sum(2, keepdim=True).clamp_min(1)) ** 0.5
        values = (columns * size * tasks.signs[:, None]).float()
        out.zero_().scatter_(2, tasks.places[:, None].expand_as(values), values)
        return Episodes(out, tasks.slots.gather(1, self._y[tasks.rows]), tasks.rows, tasks)
