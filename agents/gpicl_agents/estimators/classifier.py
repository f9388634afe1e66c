"""`InContextClassifier`: a meta-trained learner as a scikit-learn classifier, for small tables of any kind."""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from gpicl_agents.estimators.preparation import Preparation
from gpicl_agents.models.base import SequenceAgent
from gpicl_envs.errors import check_integer
from gpicl_envs.learners.base import Learner, evaluating
from gpicl_envs.learners.registry import make_learner

DEFAULT_LEARNER = "pretrained:gpicl-general"


class InContextClassifier(ClassifierMixin, BaseEstimator):
    """Classifies new rows from labelled ones in one forward pass of a learner: nothing is trained.

    Rows are scaled (standardised, or by rank in every second member of the ensemble) and put at random places among
    the learner's D inputs; labels get random slots among its K outputs. The probabilities of the members, which
    differ in these choices and in the order of the rows, are averaged.

    Args:
        learner: a `Learner`, or text that `make_learner` reads: `pretrained:NAME`, a checkpoint folder, `knn`.
        n_estimators: members of the ensemble.
        max_context: most rows that a prediction reads: with more, each member reads a random choice of so many,
            stratified by class.
        batch_size: episodes that the learner sees at once, which bounds the memory.
        device: where the learner computes.
        random_state: of the members' choices.

    Attributes:
        classes_: (n_classes,) the labels.
        n_features_in_: columns.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.model_selection import cross_val_score
        >>> x, y = load_iris(return_X_y=True)
        >>> bool(cross_val_score(InContextClassifier("knn"), x, y).mean() > 0.9)
        True
    """

    def __init__(
        self,
        learner: Any = DEFAULT_LEARNER,
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
        """Keep the labelled rows (M, columns), (M,), and prepare them for each member."""
        rows, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        self.classes_, number = np.unique(labels, return_inverse=True)
        self.learner_ = self._load()
        k = self.learner_.n_classes
        if len(self.classes_) > k:
            raise ValueError(
                f"y has {len(self.classes_)} classes, but {self.learner_.name} has {k} outputs: merge classes, or give "
                "sklearn.multiclass.OutputCodeClassifier or OneVsRestClassifier this classifier."
            )
        random = check_random_state(self.random_state)
        seeds = random.randint(np.iinfo(np.int32).max, size=check_integer("n_estimators", self.n_estimators, 1))
        self.members_ = [self._member(int(seed), place % 2 == 1, rows, number) for place, seed in enumerate(seeds)]
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """(M, columns) → (M, n_classes) probabilities."""
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, dtype=np.float64)
        made = [self._probabilities(*member, rows) for member in self.members_]
        return np.mean(made, axis=0)

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """(M, columns) → (M,) labels."""
        best = self.predict_proba(X).argmax(1)
        return self.classes_[best]

    def _load(self) -> Learner:
        learner = self.learner if isinstance(self.learner, Learner) else make_learner(self.learner)
        return learner.to(self.device) if isinstance(learner, torch.nn.Module) else learner

    def _member(
        self, seed: int, by_rank: bool, rows: NDArray[np.float64], number: NDArray[np.int64]
    ) -> tuple[Preparation, torch.Tensor, torch.Tensor, NDArray[np.int64]]:
        """The preparation of a member, its context (n, D), (n,), and the slot of each class."""
        generator = np.random.default_rng(seed)
        chosen = _choose(generator, number, self.max_context)
        preparation = Preparation(self.learner_.n_features, by_rank, generator).fit(rows[chosen])
        slots = generator.permutation(self.learner_.n_classes)[: len(self.classes_)]
        x = torch.from_numpy(preparation.transform(rows[chosen])).to(self.device)
        return preparation, x, torch.from_numpy(slots[number[chosen]]).to(self.device), slots

    def _probabilities(
        self,
        preparation: Preparation,
        x: torch.Tensor,
        y: torch.Tensor,
        slots: NDArray[np.int64],
        rows: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """(M, n_classes) probabilities by one member."""
        queries = torch.from_numpy(preparation.transform(rows)).to(self.device)
        with torch.no_grad(), evaluating(self.learner_):
            logits = [predict_queries(self.learner_, x, y, some) for some in queries.split(self.batch_size)]
        chosen = torch.cat(logits)[:, torch.from_numpy(slots).to(self.device)]
        return chosen.double().softmax(1).cpu().numpy()


def predict_queries(learner: Learner, x: torch.Tensor, y: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
    """Examples (N, D), (N,), and (Q, D) → logits (Q, K), each query as the next example."""
    if isinstance(learner, SequenceAgent):
        return learner.predict_queries(x[None], y[None], queries[None])[0]
    inputs = torch.cat([x.expand(len(queries), -1, -1), queries[:, None]], 1)
    labels = torch.cat([y, y.new_zeros(1)]).expand(len(queries), -1)
    return learner.predict(inputs, labels)[:, -1]


def _choose(generator: np.random.Generator, number: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Rows of the context in random order: all, or about `most`, as many of each class as in the data, at least one."""
    order = generator.permutation(len(number))
    if len(order) <= most:
        return order
    place = np.empty(len(number), np.int64)  # of each row within its class, in that order
    size = np.bincount(number)
    for one in range(len(size)):
        of_class = order[number[order] == one]
        place[of_class] = np.arange(len(of_class))
    kept = place < np.maximum(1, np.floor(size * most / len(number)))[number]
    return order[kept[order]]
