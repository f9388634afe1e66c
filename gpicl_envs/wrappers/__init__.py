"""Wrappers, named as gymnasium's: for single environments here, for vector environments in `wrappers.vector`.

Gymnasium's wrappers take the single environment directly, and the vector environment after `TorchToNumpy`.
"""

from gpicl_envs.wrappers.single import PreviousActionAndReward

__all__ = ["PreviousActionAndReward"]
