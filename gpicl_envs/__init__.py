"""Learning itself as a reinforcement-learning environment.

Importing this package registers the environments with gymnasium; `gymnasium.make("GPICL-MNIST-v0")` does the rest.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gpicl_envs.datasets import DATASETS, Dataset, DatasetSpec, load_dataset
from gpicl_envs.envs.forking import use_one_thread_in_forked_processes
from gpicl_envs.learners.registry import make_learner, register_learner
from gpicl_envs.registration import register_dataset, register_environments

if TYPE_CHECKING:
    from gpicl_envs.envs.check import check_vector_env
    from gpicl_envs.envs.single_env import InContextEnv
    from gpicl_envs.envs.vector_env import InContextVectorEnv
    from gpicl_envs.evaluation.curve import LearningCurve
    from gpicl_envs.evaluation.evaluate import evaluate
    from gpicl_envs.learners.base import Learner
    from gpicl_envs.learners.check import check_learner
    from gpicl_envs.rl.evaluate import evaluate_players
    from gpicl_envs.rl.players.base import Player
    from gpicl_envs.tasks.classification import TaskDistribution
    from gpicl_envs.tasks.episodes import Episodes
    from gpicl_envs.tasks.mixture import TaskMixture
    from gpicl_envs.tasks.regression import FunctionDistribution
    from gpicl_envs.tasks.tables import TableDistribution

__version__ = "0.1.0"

# Names that need torch are imported when first used: listing environments and reading records need none.
_LAZY = {
    "InContextEnv": "envs.single_env",
    "InContextVectorEnv": "envs.vector_env",
    "LearningCurve": "evaluation.curve",
    "evaluate": "evaluation.evaluate",
    "evaluate_players": "rl.evaluate",
    "Learner": "learners.base",
    "Player": "rl.players.base",
    "Episodes": "tasks.episodes",
    "FunctionDistribution": "tasks.regression",
    "TableDistribution": "tasks.tables",
    "TaskMixture": "tasks.mixture",
    "TaskDistribution": "tasks.classification",
    "check_learner": "learners.check",
    "check_vector_env": "envs.check",
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
    "Player",
    "TableDistribution",
    "TaskDistribution",
    "TaskMixture",
    "check_learner",
    "check_vector_env",
    "evaluate",
    "evaluate_players",
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
use_one_thread_in_forked_processes()
