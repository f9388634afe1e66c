"""Wrappers, named and placed as gymnasium's: of single environments here, of vector environments in `wrappers.vector`.

Gymnasium's own wrappers take the single environment as it is, and the vector environment after `TorchToNumpy`.
"""

from gpicl_envs.wrappers.single import PreviousActionAndReward

__all__ = ["PreviousActionAndReward"]
