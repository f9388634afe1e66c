"""Learning itself as a reinforcement-learning environment.

Importing this package registers the environments with gymnasium; `gymnasium.make("GPICL-MNIST-v0")` does the rest.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gpicl_envs.datasets import DATASETS, Dataset, DatasetSpec, load_dataset
from gpicl_envs.registration import register_dataset, register_environments

if TYPE_CHECKING:
    from gpicl_envs.curve import LearningCurve
    from gpicl_envs.episodes import Episodes
    from gpicl_envs.evaluation import evaluate
    from gpicl_envs.functions import FunctionDistribution
    from gpicl_envs.learner import Learner, make_learner, register_learner
    from gpicl_envs.single_env import InContextEnv
    from gpicl_envs.tasks import TaskDistribution
    from gpicl_envs.testing import check_learner
    from gpicl_envs.vector_env import InContextVectorEnv

__version__ = "0.1.0"

# Names that need torch are imported when first used: listing environments or reading records takes no torch.
_LAZY = {
    "InContextEnv": "single_env",
    "InContextVectorEnv": "vector_env",
    "LearningCurve": "curve",
    "evaluate": "evaluation",
    "Learner": "learner",
    "make_learner": "learner",
    "register_learner": "learner",
    "Episodes": "episodes",
    "FunctionDistribution": "functions",
    "TaskDistribution": "tasks",
    "check_learner": "testing",
}

__all__ = [
    "DATASETS",
    "Dataset",
    "DatasetSpec",
    "Episodes",
    "FunctionDistribution",
    "InContextEnv",
    "InContextVectorEnv",
    "Learner",
    "LearningCurve",
    "TaskDistribution",
    "check_learner",
    "evaluate",
    "load_dataset",
    "make_learner",
    "register_dataset",
    "register_learner",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"gpicl_envs.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'gpicl_envs' has no attribute {name!r}")


register_environments()
