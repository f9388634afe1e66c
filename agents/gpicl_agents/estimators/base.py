"""What the classifier and the regressor have in common: an ensemble of contexts that a learner reads."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from types import SimpleNamespace
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, is_regressor
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from gpicl_agents.estimators.preparation import Preparation, Table
from gpicl_envs.errors import check_integer
from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.registry import LearnerSpec
from gpicl_envs.sampling.distribution import check_device

MOST_NUMBERS = 1 << 25  # of one call's inputs, or of its kernel matrices

Decode = Callable[[torch.Tensor], torch.Tensor]


class InContextEstimator(BaseEstimator):
    """A learner that reads labelled rows, its context, and predicts others in one forward pass: nothing is trained.

    Rows are scaled (standardised, or by rank in every second member of the ensemble) and put at random places among
    the learner's D inputs; a table with more columns goes through a random projection. The predictions of the members,
    which differ in these choices and in the order of the rows, are averaged.

    `InContextClassifier` and `InContextRegressor` say what the arguments and the attributes are.
    """

    default_learner: ClassVar[str]
    learner_: Learner
    rows_: Table
    targets_: NDArray[Any]

    def __init__(
        self,
        learner: Any = None,
        *,
        n_estimators: int = 4,
        max_context: int = 512,
        batch_size: int = 256,
        device: str = "cpu",
        random_state: Any = 0,
    ) -> None:
        self.learner = learner
        self.n_estimators = n_estimators
        self.max_context = max_context
        self.batch_size = batch_size
        self.device = device
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803, scikit-learn's name
        """Keep the rows (M, columns) and their targets (M,) as the context."""
        with self._unchanged_if_refused():
            self._start_again()
            return self._add(X, y, reset=True)

    def partial_fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803
        """Add rows (M, columns) and their targets (M,) to the context."""
        with self._unchanged_if_refused():
            return self._add(X, y, reset=not hasattr(self, "rows_"))

    @contextmanager
    def _unchanged_if_refused(self) -> Iterator[None]:
        """Take all changes back if an error is raised."""
        before = self.__dict__.copy()
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _start_again(self) -> None:
        """Forget what was fitted, but for the rows, which are replaced."""

    @abstractmethod
    def _checked(self, targets: NDArray[Any]) -> int:
        """Check new targets (M,), and return how many outputs a learner needs for all seen so far; 1 for values."""

    @abstractmethod
    def _check_outputs(self, learner: Learner, n_outputs: int) -> None:
        """Raise ValueError for a learner that cannot have such targets."""

    @abstractmethod
    def _groups(self) -> NDArray[np.int64]:
        """(M,) the number of each row's class, in whose proportions rows are chosen; zeros for values."""

    @abstractmethod
    def _encoded(self, generator: np.random.Generator, chosen: NDArray[np.int64]) -> tuple[NDArray[Any], Decode]:
        """(n,) labels or values of the chosen rows for the learner, and what its outputs (Q, K) stand for."""

    def _add(self, x: ArrayLike, y: ArrayLike, *, reset: bool) -> Self:
        checked = validate_data(self, x, y, reset=reset, dtype=np.float64, y_numeric=is_regressor(self))
        rows, targets = cast(tuple[Table, NDArray[Any]], checked)
        n_outputs = self._checked(targets)
        count = check_integer("n_estimators", self.n_estimators, 1)
        for name in ("max_context", "batch_size"):
            check_integer(name, getattr(self, name), 1)
        if reset or self.learner_.n_classes < n_outputs:
            self.learner_ = self._load(n_outputs)
            self.seeds_ = check_random_state(self.random_state).randint(np.iinfo(np.int32).max, size=count)
        self.rows_ = rows if reset else np.concatenate([self.rows_, rows])
        self.targets_ = targets if reset else np.concatenate([self.targets_, targets])
        return self

    def _load(self, n_outputs: int) -> Learner:
        """The learner, with at least so many outputs; a module that was given is copied, as it may be trained on."""
        learner: Any = self.default_learner if self.learner is None else self.learner
        device = check_device(self.device)
        if isinstance(learner, torch.nn.Module):
            learner = deepcopy(learner)
        if not isinstance(learner, Learner):
            n_classes = 1 if n_outputs == 1 else max(2, n_outputs)
            sizes = SimpleNamespace(n_features=self.n_features_in_, n_classes=n_classes, device=device)
            learner = LearnerSpec.parse(learner).make_for(sizes)
        if not isinstance(learner, Learner):
            raise ValueError("The oracle knows the hidden tasks of an environment, and a table has none: give another.")
        self._check_outputs(learner, n_outputs)
        if isinstance(learner, torch.nn.Module):
            learner.to(device).eval()
        return learner

    def _ask(self, x: ArrayLike) -> NDArray[np.float64]:
        """(M, columns) → (M, …) the mean of the members' predictions."""
        check_is_fitted(self)
        rows = cast(Table, validate_data(self, x, reset=False, dtype=np.float64))
        members = [self._ask_member(int(seed), place % 2 == 1, rows) for place, seed in enumerate(self.seeds_)]
        return np.mean(members, axis=0)

    def _ask_member(self, seed: int, by_rank: bool, rows: Table) -> NDArray[np.float64]:
        generator, learner = np.random.default_rng(seed), self.learner_
        chosen = choose(generator, self._groups(), check_integer("max_context", self.max_context, 1))
        preparation = Preparation(learner.n_features, by_rank, generator).fit(self.rows_[chosen])
        targets, decode = self._encoded(generator, chosen)
        x = torch.from_numpy(preparation.transform(self.rows_[chosen])).to(self.device)
        y = torch.from_numpy(targets).to(self.device)
        numbers = (len(x) + 1) * max(len(x) + 1, learner.n_features)
        size = max(1, min(check_integer("batch_size", self.batch_size, 1), MOST_NUMBERS // numbers))
        predicted = []
        with torch.no_grad():
            for start in range(0, len(rows), size):
                queries = torch.from_numpy(preparation.transform(rows[start : start + size])).to(self.device)
                outputs = learner.predict_queries(x[None], y[None], queries[None])[0]
                if outputs.shape != (len(queries), learner.n_classes) or outputs.isnan().any():
                    raise ValueError(
                        f"{learner.name} predicted NaN, or another shape than its (Q, {learner.n_classes}) for Q rows: "
                        "check it by gpicl_envs.check_learner."
                    )
                predicted.append(decode(outputs.double()).cpu().numpy())
        return np.concatenate(predicted)


def choose(generator: np.random.Generator, group: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Rows of a context in random order: all, or about `most`, in proportion from each group, at least one of each."""
    order = generator.permutation(len(group))
    if len(order) <= most:
        return order
    size = np.bincount(group)
    by_group = order[np.argsort(group[order], kind="stable")]
    place = np.empty(len(group), np.int64)  # of each row within its group
    place[by_group] = np.arange(len(group)) - np.repeat(np.cumsum(size) - size, size)
    kept = place < np.maximum(1, np.floor(size * (most / len(group)) + 1e-9))[group]
    return order[kept[order]]
