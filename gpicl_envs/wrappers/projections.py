"""`Projections`: the random projections of a batch of environments, each of which has a stream of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Dict, Space
from gymnasium.spaces.utils import flatdim
from numpy.typing import NDArray

from gpicl_envs.errors import check_integer
from gpicl_envs.sampling.philox import WORD, Streams
from gpicl_envs.sampling.substreams import (
    NUMBERED_PROJECTION,
    PROJECTED_INPUTS,
    PROJECTED_PROBLEM,
    PROJECTION_ID,
)
from gpicl_envs.wrappers.action_maps import make_action_maps
from gpicl_envs.wrappers.problem_format import KEYS, problem_space

ONE_OFF = -1
MAX_PROJECTIONS = 1 << 31


class Projections:
    """The current projections of B environments: of x by A_t ∈ R^{D×N_x} with entries N(0, 1/N_x), and of actions.

    Projection number t of the stream `seed` is a function of (seed, t) alone.

    Args:
        observations: of one problem: a Dict of x, action, reward and start.
        actions: of one problem.
        num_envs: B.
        n_features: D.
        n_actions: A; by default as many as the environment has.
        n_projections: n for a fixed set of projections with ids 0 … n − 1; None for endless ones.
        projection_seed: seed of the fixed set.
        mean: (N_x,) subtracted from x first; None for zeros.
        std: (N_x,) by which x is divided then; None for ones.

    Attributes:
        ids: (B,) int64; −1 for one of endlessly many.
        inputs: (B, D, N_x) float32.
        action_maps: how the actions of all of them are mapped.
        actions: one map for each, as `action_maps.draw` returns them.
    """

    def __init__(
        self,
        observations: Space[Any],
        actions: Space[Any],
        num_envs: int,
        n_features: int,
        n_actions: int | None = None,
        n_projections: int | None = None,
        projection_seed: int = 0,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        if not isinstance(observations, Dict) or set(observations.spaces) != set(KEYS):
            raise TypeError(
                f"RandomProjection takes in-context RL problems, with observations {', '.join(KEYS)}, given "
                f"{observations}: put Trials (VectorTrials) around the environment first."
            )
        self.n_inputs = flatdim(observations["x"])
        self.n_features = check_integer("n_features", n_features, 1)
        self.action_maps = make_action_maps(actions, n_actions)
        self.n_projections = (
            None if n_projections is None else check_integer("n_projections", n_projections, 1, MAX_PROJECTIONS)
        )
        self.projection_seed = check_integer("projection_seed", projection_seed, 0, WORD - 1)
        self.mean, self.std = _row("mean", mean, self.n_inputs, 0.0), _row("std", std, self.n_inputs, 1.0)
        if not (self.std > 0).all():
            raise ValueError(f"std={std} is not allowed: give positive numbers.")
        self.observation_space = problem_space(
            self.n_features, self.action_maps.n_actions, self.action_maps.agent_space
        )
        self.action_space = self.action_maps.agent_space
        self._seeds = np.random.SeedSequence().generate_state(num_envs, np.uint64).astype(np.uint64)
        self._numbers = np.zeros(num_envs, np.uint64)  # of the next projection in each stream
        self.ids, self.inputs, self.actions = self._drawn(self._seeds, self._numbers)

    def redraw(self, rows: NDArray[np.bool_], seeds: Sequence[int | None] | None = None) -> None:
        """Draw the next projections of the masked environments (B,); a seed begins another stream."""
        for i, seed in enumerate(seeds or ()):
            if seed is not None and rows[i]:
                self._seeds[i], self._numbers[i] = seed, 0
        ids, inputs, actions = self._drawn(self._seeds[rows], self._numbers[rows])
        self.ids[rows], self.inputs[rows], self.actions[rows] = ids, inputs, actions
        self._numbers[rows] += np.uint64(1)

    def project(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, N_x) → (B, D)."""
        return np.einsum("bdn,bn->bd", self.inputs, (np.asarray(x, np.float32) - self.mean) / self.std)

    def to_environment(self, shown: NDArray[np.float32]) -> NDArray[Any]:
        """(B, A) actions as they are shown → B actions of the environment."""
        return self.action_maps.to_environment(self.actions, shown)

    def _drawn(
        self, seeds: NDArray[np.uint64], numbers: NDArray[np.uint64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[Any]]:
        cpu = torch.device("cpu")
        streams = Streams(seeds, numbers, PROJECTED_PROBLEM, cpu)
        ids = np.full(len(seeds), ONE_OFF, np.int64)
        if self.n_projections is not None:
            ids = streams.below(self.n_projections, 1, substream=PROJECTION_ID)[:, 0].numpy()
            key = np.full(len(ids), self.projection_seed, np.uint64)
            streams = Streams(key, ids.astype(np.uint64), NUMBERED_PROJECTION, cpu)
        normals = streams.normal(self.n_features, self.n_inputs, substream=PROJECTED_INPUTS).numpy()
        return ids, normals / np.sqrt(self.n_inputs, dtype=np.float32), self.action_maps.draw(streams)


def _row(name: str, given: Sequence[float] | None, n: int, default: float) -> NDArray[np.float32]:
    row = np.full(n, default, np.float32) if given is None else np.asarray(given, np.float32)
    if row.shape != (n,) or not np.isfinite(row).all():
        raise ValueError(f"{name}={given} is not allowed: give {n} finite numbers, one for each number of x.")
    return row
