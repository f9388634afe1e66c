"""The entry points of the ids; `gymnasium.pprint_registry()` prints the name of their module as a heading."""

from gpicl_envs.envs.single_env import InContextEnv
from gpicl_envs.envs.vector_env import InContextVectorEnv

__all__ = ["InContextEnv", "InContextVectorEnv"]
