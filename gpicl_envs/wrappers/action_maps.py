"""Random maps from the agent's actions to those of an environment, batched: permutations and rotations."""

from typing import Any, TypeAlias

import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from numpy.typing import NDArray

from gpicl_envs.errors import check_integer
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.substreams import ACTION_ORDER, ACTION_ROTATION, SURPLUS_ACTIONS
from gpicl_envs.wrappers.problem_format import action_rows, action_size

Array: TypeAlias = NDArray[Any]


class PermutedActions:
    """Labels of the agent for Discrete actions: a random surjection of A labels onto n actions.

    With A = n it is a uniform permutation. With more labels than actions, each of n random labels stands for another
    action, and each of the A − n surplus ones for an action drawn uniformly.

    Args:
        space: the environment's Discrete(n).
        n_actions: A ≥ n.
    """

    def __init__(self, space: Discrete, n_actions: int) -> None:
        self.n, self.first = int(space.n), int(space.start)
        why = f"the environment has {self.n} actions, and each must have a label"
        self.n_actions = check_integer("n_actions", n_actions, self.n, why=why)
        self.agent_space: Space[Any] = Discrete(self.n_actions)

    def draw(self, streams: Streams) -> Array:
        """Return (B, A) int64: the action that each label stands for, from 0 to n − 1."""
        labels = streams.permutation(self.n_actions, substream=ACTION_ORDER).numpy()
        surplus = streams.below(self.n, self.n_actions - self.n, substream=SURPLUS_ACTIONS).numpy()
        actions = np.concatenate([np.tile(np.arange(self.n), (len(labels), 1)), surplus], 1)
        maps = np.empty_like(labels)
        np.put_along_axis(maps, labels, actions, 1)
        return maps

    def shown(self, given: Any, batch_size: int) -> Array:
        """Return (B, A) float32, the labels one-hot; checks them."""
        return action_rows(self.agent_space, given, batch_size)

    def to_environment(self, maps: Array, shown: Array) -> Array:
        """(B, A) maps, (B, A) one-hot labels → (B,) int64 actions of the environment."""
        return np.take_along_axis(maps, shown.argmax(1)[:, None], 1)[:, 0] + self.first


class RotatedActions:
    """Directions of the agent for a Box of d actions: the first d rows P of a random orthogonal A × A matrix.

    The agent's Box is [−1, 1]^A. Its action a becomes u = √d · P a, clipped to [−1, 1]^d and stretched to the
    environment's Box. The factor √d makes every action of the environment reachable: |Pᵀ u / √d| ≤ 1. With A > d, A − d
    directions do nothing.

    Args:
        space: the environment's Box with finite bounds.
        n_actions: A ≥ d.
    """

    def __init__(self, space: Box, n_actions: int) -> None:
        if not space.is_bounded():
            raise TypeError(
                f"RandomProjection cannot rotate actions without finite bounds, given {space}: give bounds beneath it, "
                "with gymnasium.wrappers.RescaleAction or TransformAction."
            )
        self.space, self.n = space, action_size("RandomProjection", space)
        why = f"the environment has actions of {self.n} numbers, and each must be reachable"
        self.n_actions = check_integer("n_actions", n_actions, self.n, why=why)
        self.agent_space: Space[Any] = Box(-1.0, 1.0, (self.n_actions,), np.float32)

    def draw(self, streams: Streams) -> Array:
        """Return (B, d, A) float32, √d times orthonormal rows (Mezzadri 2007, arXiv:math-ph/0609050)."""
        normals = streams.normal(self.n_actions, self.n_actions, substream=ACTION_ROTATION).numpy()
        q, r = np.linalg.qr(normals.astype(np.float64))
        q *= np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]  # uniform: QR alone prefers some signs
        return (np.sqrt(self.n) * q[:, : self.n]).astype(np.float32)

    def shown(self, given: Any, batch_size: int) -> Array:
        """Return (B, A) float32, the actions clipped to [−1, 1]."""
        return np.clip(action_rows(self.agent_space, given, batch_size), -1.0, 1.0)

    def to_environment(self, maps: Array, shown: Array) -> Array:
        """(B, d, A) maps, (B, A) actions in [−1, 1] → (B, …) actions of the environment."""
        unit = np.clip(np.einsum("bda,ba->bd", maps, shown), -1.0, 1.0).reshape(-1, *self.space.shape)
        low, high = self.space.low, self.space.high
        return np.clip(low + (unit + 1) / 2 * (high - low), low, high).astype(self.space.dtype)


def make_action_maps(space: Space[Any], n_actions: int | None) -> PermutedActions | RotatedActions:
    """Return the maps for a space of actions; as many actions for the agent as the environment has by default.

    Raises:
        TypeError: the actions are neither Discrete nor a Box with finite bounds.
    """
    made: Any = PermutedActions if isinstance(space, Discrete) else RotatedActions
    own = action_size("RandomProjection", space)
    return made(space, own if n_actions is None else n_actions)
