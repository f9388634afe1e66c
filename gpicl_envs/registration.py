"""The environment ids: of each registered dataset, each class of functions, what replaces both, and each RL problem."""

from dataclasses import dataclass, replace
from typing import Any

import gymnasium

from gpicl_envs.datasets import DATASETS, DatasetSpec, register_spec
from gpicl_envs.datasets.dataset import simple_name
from gpicl_envs.datasets.user import array_spec
from gpicl_envs.errors import UnknownNameError

# The classes of functions of `tasks/regression.py`, repeated here so that listing them needs no torch.
FUNCTION_CLASSES = {
    "LinearRegression": "regression: y = w · x with w ~ N(0, I)",
    "SparseLinearRegression": "regression: y = w · x, three weights not zero",
    "TwoLayerNetwork": "regression: 100 hidden rectified linear units",
    "DecisionTree": "regression: a random tree of depth 4",
}

# What is drawn in place of a base dataset or a function, by name: its argument, the value of that, and a description.
OTHERS = {
    "SyntheticTables": (
        "prior",
        "SyntheticTables",
        "synthetic tables: 2 to 64 columns, 2 to 10 classes, rules of five kinds",
    ),
    "GeneralMixture": (
        "mixture",
        "GeneralMixture",
        "a mixture of MNIST, Digits and synthetic tables, to meta-train on",
    ),
    "RealTable": ("table", "iris", "100 rows of a small real table, then a query; 13 tables, iris by default"),
}

# The in-context RL problems of `rl/kinds.py`, in which actions matter and no labels exist.
PROBLEMS = {
    "Bandit": "in-context RL: a Bernoulli bandit of 5 arms, 100 pulls",
    "TabularMDP": "in-context RL: 10 episodes in a random MDP of 10 states and 5 actions",
    "DarkRoom": "in-context RL: 5 episodes in a room of 9 × 9 cells with an invisible goal",
}


@dataclass(frozen=True)
class Environment:
    """One registered environment.

    Args:
        id: for `gymnasium.make` and `make_vec`.
        description: one line for lists.
        arguments: `dataset`, `function`, `prior`, `table`, `mixture` or `problem`, which the id implies.
    """

    id: str
    description: str
    arguments: dict[str, Any]


def rl_environments() -> dict[str, Environment]:
    """Return the environments of in-context RL, in which actions matter, by their ids."""
    found = [Environment(f"GPICL-{name}-v0", text, {"problem": name}) for name, text in PROBLEMS.items()]
    return {environment.id: environment for environment in found}


def environments() -> dict[str, Environment]:
    """Return every environment of supervised learning by its id."""
    listed = [
        Environment(spec.env_id, spec.description, {"dataset": spec.name})
        for spec in DATASETS.values()
        if spec.has_env_id
    ]
    listed += [
        Environment(f"GPICL-{name}-v0", description, {"function": name})
        for name, description in FUNCTION_CLASSES.items()
    ]
    listed += [
        Environment(f"GPICL-{name}-v0", description, {argument: value})
        for name, (argument, value, description) in OTHERS.items()
    ]
    return {environment.id: environment for environment in listed}


def find_environment(env_id: str) -> Environment:
    """Return the environment of supervised learning with this id; an unknown one lists the valid ids."""
    if env_id in rl_environments():
        raise ValueError(
            f"{env_id} has no labels, since actions matter there: train on it by `gpicl train-rl`, and evaluate "
            "players by `gpicl evaluate-rl`."
        )
    if env_id not in environments():
        others = "For any other environment of Gymnasium: `gpicl train-rl --env CartPole-v1 --trials 10`."
        raise UnknownNameError("environment", env_id, environments(), others)
    return environments()[env_id]


def find_rl_environment(env_id: str) -> Environment:
    """Return the environment of in-context RL with this id; an unknown one lists the valid ids."""
    if env_id in environments():
        raise ValueError(
            f"{env_id} reveals labels, and no action changes what comes next: evaluate learners on it by `gpicl "
            f"evaluate`, or give an id of in-context RL: {', '.join(rl_environments())}."
        )
    if env_id not in rl_environments():
        hint = "A policy trained on any other environment is evaluated by `gpicl diagnose RUN`."
        raise UnknownNameError("environment of in-context RL", env_id, rl_environments(), hint)
    return rl_environments()[env_id]


def register_dataset(
    dataset: str | DatasetSpec,
    x: object = None,
    y: object = None,
    x_test: object = None,
    y_test: object = None,
    *,
    label: str | None = None,
) -> None:
    """Add a base dataset, and its environment `GPICL-{name}-v0`.

    `gymnasium.make("GPICL-Array-v0", dataset=name)` works too, also for names that cannot be part of an id.

    Args:
        dataset: a new name for the arrays, or a `DatasetSpec` without arrays. Case, `_` and `-` make no difference in
            names.
        x: (M, ...) uint8 or finite floating-point inputs of the train split, a NumPy array or a torch tensor; copied.
        y: (M,) integer labels; both splits together must have all of 0 … K − 1.
        x_test: (M', ...) inputs of the test split; without it only `split="train"` exists.
        y_test: (M',) their labels.
        label: the label column, if x is a frame or a Hugging Face dataset.

    x may also be a data frame of pandas or polars, with `label` or a column as y; what `fetch_openml` returns; or a
    `Dataset` or `DatasetDict` of Hugging Face, whose label is its only ClassLabel if `label` is not given:

    - Numbers stay as they are; a category becomes one column of zeros and ones. An image column is the only input.
    - Labels of any kind become 0 … K − 1 in sorted order; `load_dataset(name).class_names` has what they stand for.

    Raises:
        ValueError: the name is taken or empty, or the arrays or columns do not form a dataset; a missing value, or
            texts as inputs, are refused with the name of the column.

    Example:
        >>> import gymnasium, gpicl_envs, numpy as np
        >>> x, y = np.random.default_rng(0).normal(size=(300, 5)), np.arange(300) % 3
        >>> gpicl_envs.register_dataset("three-blobs", x, y)
        >>> gymnasium.make("GPICL-three-blobs-v0").action_space
        Discrete(3)
    """
    if isinstance(dataset, DatasetSpec):
        if any(value is not None for value in (x, y, x_test, y_test, label)):
            raise ValueError(f"register_dataset got the spec of {dataset.name} and arrays: give a name and arrays.")
        spec = dataset
    else:
        spec = array_spec(dataset, x, y, x_test, y_test, label)
    if simple_name(spec.name) in map(simple_name, [*FUNCTION_CLASSES, *OTHERS, *PROBLEMS]):
        raise ValueError(f"Dataset {spec.name!r} has the name of another environment: choose another name.")
    register_spec(replace(spec, kept="memory"))  # other processes do not know the name
    register_environments()


def register_environments() -> None:
    """Register with gymnasium every environment that has no id there yet."""
    for listed, (module, single, vector) in (
        (environments(), ("gpicl_envs.envs.in_context_learning", "InContextEnv", "InContextVectorEnv")),
        (rl_environments(), ("gpicl_envs.rl.in_context_rl", "ProblemEnv", "ProblemVectorEnv")),
    ):
        for environment in listed.values():
            if environment.id not in gymnasium.registry:
                gymnasium.register(
                    environment.id,
                    entry_point=f"{module}:{single}",
                    vector_entry_point=f"{module}:{vector}",
                    kwargs=environment.arguments,
                )
