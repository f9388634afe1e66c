"""The entry points of the ids; `gymnasium.pprint_registry()` prints the name of their module as a heading."""

from gpicl_envs.rl.single_env import ProblemEnv
from gpicl_envs.rl.vector_env import ProblemVectorEnv

__all__ = ["ProblemEnv", "ProblemVectorEnv"]
