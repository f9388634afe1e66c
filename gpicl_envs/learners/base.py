"""The `Learner` protocol, the same for Transformers, k-NN and SGD."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch.nn.functional import one_hot

from gpicl_envs.errors import check_integer


class Learner:
    """A learning algorithm: it reads examples one by one and predicts each label before seeing it.

    Override `predict` (all positions at once) or `step` (one position at a time); the other is derived from it.
    `gpicl_envs.check_learner` checks the result.

    Letters: B episodes, N examples in an episode, D features, K classes.

    Args:
        n_features: D.
        n_classes: K; 1 for regression, which a class allows by `predicts_values = True`: y then holds real values, and
            the single logit is the predicted value.

    Example:
        >>> class LastLabel(Learner):
        ...     "Predicts that the label stays the same."
        ...     def step(self, state, x, y_previous):
        ...         return y_previous, state
    """

    n_features: int
    n_classes: int
    predicts_values: ClassVar[bool] = False  # whether n_classes=1, regression, is allowed

    def __init__(self, n_features: int = 784, n_classes: int = 10) -> None:
        super().__init__()
        self.n_features = check_integer("n_features", n_features, 1)
        self.n_classes = check_integer("n_classes", n_classes, 1)
        if n_classes == 1 and not self.predicts_values:
            raise ValueError(
                f"{type(self).__name__} only classifies, but n_classes=1 stands for real values (regression): give at "
                "least 2 classes, or a learner whose class sets predicts_values = True, such as ridge or knn."
            )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.predict is Learner.predict and cls.step is Learner.step:
            raise TypeError(
                f"{cls.__name__} overrides neither predict(x, y) nor step(state, x, y_previous): a Learner needs one."
            )

    @property
    def name(self) -> str:
        """The name in tables and records; the class's name by default."""
        return type(self).__name__

    @property
    def adapts(self) -> tuple[Any, ...]:
        """The classes that an adapter wraps; their source code is part of its fingerprint."""
        return ()

    @property
    def device(self) -> torch.device:
        """Where the learner computes: the device of its parameters, or the CPU."""
        if isinstance(self, torch.nn.Module):
            return next((parameter.device for parameter in self.parameters()), torch.device("cpu"))
        return torch.device("cpu")

    @property
    def n_parameters(self) -> int:
        """Number of meta-trained parameters; 0 for learners that are not meta-trained."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad) if isinstance(self, torch.nn.Module) else 0

    def get_params(self) -> dict[str, Any]:
        """The constructor's arguments, read from the attributes of the same names (scikit-learn's convention)."""
        parameters = inspect.signature(type(self).__init__).parameters.values()
        names = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "self"]
        if missing := [name for name in names if not hasattr(self, name)]:
            raise ValueError(
                f"{type(self).__name__} does not keep its argument {missing[0]!r}: its constructor must store every "
                "argument as an attribute of the same name, so that a checkpoint can make it again."
            )
        return {name: getattr(self, name) for name in names}

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Predict every label of B episodes, each from the examples before it.

        Args:
            x: (B, N, D) float32 inputs.
            y: (B, N) int64 labels; float32 values for regression.

        Returns:
            (B, N, K) logits, or predicted values with K = 1; row n may depend on x[:, :n+1] and y[:, :n] only.
        """
        previous = encoded(y, self.n_classes).roll(1, dims=1)
        previous[:, 0] = 0.0
        state, rows = self.start(x.shape[0]), []
        for n in range(x.shape[1]):
            logits, state = self.step(state, x[:, n], previous[:, n])
            if not isinstance(logits, torch.Tensor):
                kind = type(logits).__name__
                raise TypeError(f"{type(self).__name__}.step returned a {kind} first: return (logits, state).")
            rows.append(logits)
        return torch.stack(rows, dim=1)

    def predict_queries(self, x: torch.Tensor, y: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """Predict the label of each of Q inputs as if it were the next example.

        Args:
            x: (B, N, D) inputs of the examples.
            y: (B, N) their labels, or values.
            queries: (B, Q, D).

        Returns:
            (B, Q, K) logits, or predicted values with K = 1.
        """
        count = queries.shape[1]
        inputs = torch.cat([x[:, None].expand(-1, count, -1, -1), queries[:, :, None]], 2).flatten(0, 1)
        labels = torch.cat([y, y.new_zeros(len(y), 1)], 1).repeat_interleave(count, 0)
        return self.predict(inputs, labels)[:, -1].unflatten(0, queries.shape[:2])

    def start(self, batch_size: int) -> Any:
        """Return the state of B learners that have seen nothing; for the derived `step`, it holds the examples seen."""
        kind = torch.float32 if self.n_classes == 1 else torch.int64
        return torch.empty(batch_size, 0, self.n_features, dtype=torch.float32), torch.empty(batch_size, 0, dtype=kind)

    def step(self, state: Any, x: torch.Tensor, y_previous: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """Take the label of the previous example, and predict that of the next input.

        Args:
            state: what `start` or the last `step` returned.
            x: (B, D) inputs.
            y_previous: (B, K) one-hot labels of the previous examples, or (B, 1) values; zeros at the first.

        Returns:
            (B, K) logits and the next state.
        """
        xs, ys = state
        xs = torch.cat([xs.to(x), x[:, None]], dim=1)
        if xs.shape[1] > 1:
            label = y_previous if self.n_classes == 1 else y_previous.argmax(1, keepdim=True)
            ys = torch.cat([ys.to(x.device), label], dim=1)
        unknown = torch.zeros(len(x), 1, dtype=ys.dtype, device=x.device)
        return self.predict(xs, torch.cat([ys.to(x.device), unknown], dim=1))[:, -1], (xs, ys)

    def __sklearn_clone__(self) -> "Learner":
        """Return the learner itself: a clone of a scikit-learn estimator that holds it keeps its weights."""
        return self

    def state_size(self, n_examples: int) -> int:
        """Return how many numbers the prediction after `n_examples` can read; by default, those of all examples."""
        return n_examples * (self.n_features + 1)

    def critical_positions(self, length: int) -> Sequence[int]:
        """Return the positions at which predictions begin to depend on more, such as after a refit; none by default.

        `check_learner` tries them too where it cannot try many, because the learner is slow.
        """
        return ()

    def attention(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Refuse with ValueError: only Transformers have attention weights to show."""
        raise ValueError(f"{self.name} has no attention weights: give a Transformer, such as 'transformer'.")


def encoded(y: torch.Tensor, n_classes: int) -> torch.Tensor:
    """(..., ) labels → (..., K) one-hot float32; values → (..., 1)."""
    return y.float().unsqueeze(-1) if n_classes == 1 else one_hot(y, n_classes).float()


@contextmanager
def no_more_parameters(count: int) -> Iterator[None]:
    """Refuse, with ValueError, to make a model that is far too large for so many weights, before memory is full."""
    made, most = 0, 10 * count + 10_000_000

    def add(module: torch.nn.Module, name: str, parameter: torch.nn.Parameter | None) -> None:
        nonlocal made
        made += 0 if parameter is None else parameter.numel()
        if made > most:
            raise ValueError(f"its arguments make a model of more than {most:,} parameters, for {count:,} weights")

    hook = torch.nn.modules.module.register_module_parameter_registration_hook(add)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def evaluating(learner: Any) -> Iterator[None]:
    """Put a `torch.nn.Module` into evaluation mode (without dropout, for example), and each of its modules back."""
    modules = learner.modules() if isinstance(learner, torch.nn.Module) else ()
    training = [module for module in modules if module.training]
    if training:
        learner.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
