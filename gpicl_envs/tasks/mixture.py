"""`TaskMixture`: episodes of several distributions, each drawn with a weight, for meta-training on all of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gpicl_envs.datasets.dataset import SPLITS
from gpicl_envs.errors import UnknownNameError, check_choice, check_integer, check_positive, shortened
from gpicl_envs.sampling.distribution import check_device
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.substreams import MIXTURE
from gpicl_envs.tasks.base import LENGTH, EpisodeDistribution, Task
from gpicl_envs.tasks.episodes import Episodes, Tasks
from gpicl_envs.tasks.kinds import SIMPLE_KINDS, make_kind

DEFAULT_MIXTURE = "GeneralMixture"
MIXTURES: dict[str, tuple[dict[str, Any], ...]] = {
    DEFAULT_MIXTURE: (
        {"weight": 0.2, "dataset": "MNIST"},
        {"weight": 0.1, "dataset": "MNIST", "active_classes": (2, 9)},
        {"weight": 0.05, "dataset": "MNIST", "active_classes": (2, 9), "class_imbalance": 5.0},
        {"weight": 0.05, "dataset": "Digits", "active_classes": (2, 10)},
        {"weight": 0.6, "prior": "SyntheticTables"},
    ),
}


@dataclass(frozen=True)
class MixtureTasks(Tasks):
    """The hidden side of B tasks of a mixture.

    Args:
        ids: (B,) int64, −1: the tasks of a mixture have no ids.
        streams: the B streams of the episodes, from which their component makes them.
        component: (B,) int64, the number of the component that each episode is from.
        groups: (B,) int64, id · C + c for the task `id` of component c of C; −1 where it has none.
    """

    component: torch.Tensor
    groups: torch.Tensor


class TaskMixture(EpisodeDistribution):
    """A mixture of distributions that share N, D and K: each episode is one of a random component.

    Episode e of stream s is exactly the episode e of stream s of its component.

    Args:
        mixture: a name among `MIXTURES`, or its components: mappings with a `weight` (by default 1) and the arguments
            of an environment, such as `{"dataset": "Digits"}` or `{"weight": 2, "prior": "SyntheticTables"}`.
        length: N, examples in an episode.
        n_features: D, features of x.
        n_classes: K.
        split: `"train"` or `"test"`, of every component.
        device: where episodes are made.

    Raises:
        ValueError: the name is unknown, a component cannot be made, has regression targets or another K.
    """

    n_tasks = drift_every = None
    task_seed = 0

    def __init__(
        self,
        mixture: str | Sequence[Mapping[str, Any]] = DEFAULT_MIXTURE,
        *,
        length: int = LENGTH,
        n_features: int = 784,
        n_classes: int = 10,
        split: str = "train",
        device: str | torch.device = "cpu",
    ) -> None:
        self.mixture = mixture
        self.name = mixture if isinstance(mixture, str) else "Mixture"
        self.length = check_integer("length", length, 1)
        self.n_features = check_integer("n_features", n_features, 1)
        self.n_classes = check_integer("n_classes", n_classes, 2)
        self.split = check_choice("split", split, SPLITS)
        self.device = check_device(device)
        shared = {"length": length, "n_features": n_features, "n_classes": n_classes, "split": split, "device": device}
        weights, self.components = _components(mixture, shared)
        self.cumulative = np.cumsum(weights) / np.sum(weights)

    @property
    def arguments(self) -> dict[str, Any]:
        """The constructor's arguments that define the distribution, as plain JSON values."""
        return super().arguments | {"mixture": self._parts(lambda component: component.arguments)}

    def _constructor_arguments(self) -> dict[str, Any]:
        parts = self._parts(lambda component: component._constructor_arguments())
        return super()._constructor_arguments() | {"mixture": parts}

    def _parts(self, arguments_of: Callable[[EpisodeDistribution], dict[str, Any]]) -> Any:
        """The mixture's name, or its components with the values that these arguments have now."""
        if isinstance(self.mixture, str):
            return self.mixture
        return [
            {name: arguments_of(component).get(name, value) for name, value in part.items()}
            for part, component in zip(self.mixture, self.components, strict=True)
        ]

    @property
    def env_id(self) -> str:
        """The id of the environment that shows these episodes, given these components as its `mixture`."""
        return f"GPICL-{self.name if isinstance(self.mixture, str) else DEFAULT_MIXTURE}-v0"

    @property
    def fingerprint(self) -> str | None:
        """The sha256 of the fingerprints of the components' base datasets; None if none has one."""
        known = [component.fingerprint for component in self.components]
        return sha256(" ".join(map(str, known)).encode()).hexdigest() if any(known) else None

    def unseen(self) -> "TaskMixture":
        """Return the same of the test split, with one-off tasks without bias: what meta-training never shows."""
        parts = self._parts(lambda component: component.unseen()._constructor_arguments())
        return TaskMixture(**self._constructor_arguments() | {"mixture": parts, "split": "test"})

    def hidden(self, episodes: Episodes, position: NDArray[np.int64]) -> Task:
        """Return the B hidden tasks, of which only the number of the component is shown."""
        return Task(episodes.tasks.ids, parameters={"component": episodes.tasks.component})

    def base_input(self, episodes: Episodes, row: int, position: int) -> NDArray[np.float32]:
        """Return the base input behind one x, as its component shows it."""
        tasks = episodes.tasks[np.array([row])]
        component = self.components[int(tasks.component[0])]
        return component.base_input(component.episodes(tasks.streams.key, tasks.streams.number), 0, position)

    def _task_streams(self, episode: Streams, ids: torch.Tensor | None) -> tuple[torch.Tensor, Streams]:
        if ids is not None:
            raise ValueError("task_ids need n_tasks, which a mixture has not: its components have their own.")
        return super()._task_streams(episode, ids)

    def _make_tasks(self, ids: torch.Tensor, streams: Streams) -> MixtureTasks:
        choice = Streams(streams.key, streams.number, self._purpose(MIXTURE), torch.device("cpu"))
        place = choice.uniform(1)[:, 0].numpy()
        component = np.minimum(np.searchsorted(self.cumulative, place, side="right"), len(self.components) - 1)
        return MixtureTasks(ids, streams, torch.from_numpy(component).to(self.device), torch.full_like(ids, -1))

    def _make_episodes(self, tasks: MixtureTasks, episode: Streams, out: torch.Tensor) -> Episodes:
        y = torch.empty(out.shape[:2], dtype=torch.int64, device=self.device)
        index, groups, component = torch.empty_like(y), tasks.groups.clone(), tasks.component.cpu().numpy()
        for number in np.unique(component):
            rows = np.flatnonzero(component == number)
            made = self.components[number].episodes(episode.key[rows], episode.number[rows])
            where = torch.from_numpy(rows).to(self.device)
            out[where], y[where], index[where] = made.x, made.y, made.index
            groups[where] = torch.where(made.task_id < 0, -1, made.task_id * len(self.components) + int(number))
        return Episodes(out, y, index, replace(tasks, groups=groups))


def _components(
    mixture: str | Sequence[Mapping[str, Any]], shared: dict[str, Any]
) -> tuple[list[float], list[EpisodeDistribution]]:
    """Weights and distributions of a mixture, whose components have these arguments in common."""
    if isinstance(mixture, str):
        if mixture not in MIXTURES:
            raise UnknownNameError("mixture", mixture, MIXTURES)
        mixture = MIXTURES[mixture]
    given: Any = mixture
    if not isinstance(given, Sequence) or not all(isinstance(part, Mapping) for part in given):
        raise ValueError(
            f"mixture={shortened(mixture)} is no list of components: give mappings, as in "
            '[{"weight": 1, "dataset": "Digits"}, {"prior": "SyntheticTables"}].'
        )
    if not mixture:
        raise ValueError("mixture=[] has no components: give at least one.")
    weights, components = [], []
    for number, part in enumerate(mixture):
        try:
            arguments = dict(part)
            weights.append(check_positive("weight", arguments.pop("weight", 1.0)))
            if twice := arguments.keys() & shared.keys():
                raise ValueError(f"{' and '.join(sorted(twice))} must be given to the mixture, for all components.")
            components.append(make_kind(SIMPLE_KINDS, arguments | shared))
        except (ValueError, TypeError) as error:
            raise ValueError(f"Component {number} of the mixture, {part!r}: {error}") from error
    if not np.isfinite(sum(weights)):
        raise ValueError(f"The weights {weights} have no finite sum: give smaller ones.")
    return weights, components
