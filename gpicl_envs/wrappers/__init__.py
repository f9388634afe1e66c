"""Wrappers, named as gymnasium's: for single environments here, for vector environments in `wrappers.vector`.

Gymnasium's wrappers take the single environment directly, and the vector environment after `TorchToNumpy`.
`Trials` and `RandomProjection` make in-context RL problems of any environment; their vector forms work on NumPy arrays.
"""

from gpicl_envs.wrappers.masked_cartpole import MaskedCartPole
from gpicl_envs.wrappers.random_projection import RandomProjection
from gpicl_envs.wrappers.single import PreviousActionAndReward
from gpicl_envs.wrappers.trials import Trials
from gpicl_envs.wrappers.vector_random_projection import VectorRandomProjection
from gpicl_envs.wrappers.vector_trials import VectorTrials

__all__ = [
    "MaskedCartPole",
    "PreviousActionAndReward",
    "RandomProjection",
    "Trials",
    "VectorRandomProjection",
    "VectorTrials",
]
