"""`RandomProjection`: a new random view of an in-context RL problem for each problem."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from gpicl_envs.envs.reset_arguments import parse_seeds
from gpicl_envs.wrappers.projections import Projections

Observation = dict[str, NDArray[np.float32]]
ONE = np.ones(1, bool)


class RandomProjection(gymnasium.Wrapper[Observation, Any, Observation, Any], RecordConstructorArgs):
    """Project observations, and permute or rotate actions, by random maps that are new in each problem.

    An agent cannot know beforehand what the numbers mean, so it must learn within the problem, and agents of any
    environment share one format (D, A). Kirsch et al. 2023 ("Towards General-Purpose In-Context Learning Agents",
    http://louiskirsch.com/glas) augment the experience that their agents are trained on by random projections; the
    permutation of discrete actions is this package's.

    It wraps problems, `RandomProjection(Trials(env, episodes=K), n_features=D)`, or an id such as `GPICL-Bandit-v0`, so
    that the maps stay the same in all K episodes; each `reset()` of it begins another problem and draws new ones.

    **Observations.** x ↦ A_t (x − mean) / std with A_t ∈ R^{D×N_x}, entries N(0, 1/N_x): lengths are multiplied by
    √(D/N_x) on average. Nothing is normalised unless `mean` and `std` are given, so that large numbers (a velocity)
    drown small ones (an angle). `action` shows the agent's own previous action.

    **Discrete actions.** The agent's label stands for an action by a random permutation. With more labels than actions,
    each surplus label stands for a random action, so that several do the same.

    **A Box of d actions.** The agent's Box is [−1, 1]^A. An action is clipped to it and multiplied by √d times the
    first d rows of a random orthogonal matrix; the result is clipped to [−1, 1]^d and stretched to the environment's
    Box. So each action of the environment can be reached, and with A > d some directions do nothing.

    **Seeds.** Projection number t after `reset(seed=s)` is a function of (s, t). `info["projection_id"]` is its id
    among `n_projections`, or −1.

    Args:
        env: an environment with observations x, action, reward and start.
        n_features: D.
        n_actions: A, at least the environment's number of actions, which is the default.
        n_projections: n for a fixed set of projections, of which each problem has one; None for endless ones.
        projection_seed: seed of the fixed set.
        mean: N_x numbers that are subtracted from x.
        std: N_x numbers by which x is then divided.

    Raises:
        TypeError: the environment is no in-context RL problem, or its actions have no finite bounds.
        ValueError: an argument is out of range.

    Example:
        >>> import gymnasium
        >>> from gpicl_envs.wrappers import RandomProjection, Trials
        >>> env = RandomProjection(Trials(gymnasium.make("CartPole-v1"), episodes=3), n_features=16, n_actions=5)
        >>> observation, info = env.reset(seed=0)
        >>> observation["x"].shape, observation["action"].shape, env.action_space
        ((16,), (5,), Discrete(5))
    """

    def __init__(
        self,
        env: gymnasium.Env[Observation, Any],
        n_features: int,
        n_actions: int | None = None,
        *,
        n_projections: int | None = None,
        projection_seed: int = 0,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        RecordConstructorArgs.__init__(
            self,
            n_features=n_features,
            n_actions=n_actions,
            n_projections=n_projections,
            projection_seed=projection_seed,
            mean=mean,
            std=std,
        )
        gymnasium.Wrapper.__init__(self, env)
        self.projections = Projections(
            *(env.observation_space, env.action_space, 1, n_features, n_actions),
            *(n_projections, projection_seed, mean, std),
        )
        self.observation_space: Any = self.projections.observation_space
        self.action_space: Any = self.projections.action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a problem, with new random maps."""
        observation, info = self.env.reset(seed=seed, options=options)
        self.projections.redraw(ONE, parse_seeds(seed, 1))
        return self._shown(observation, np.zeros(self.projections.action_maps.n_actions, np.float32)), self._told(info)

    def step(self, action: Any) -> tuple[Observation, Any, bool, bool, dict[str, Any]]:
        """Take the action that the agent's stands for."""
        shown = self.projections.action_maps.shown([action], 1)
        taken = self.projections.to_environment(shown)[0]
        observation, reward, terminated, truncated, info = self.env.step(taken)
        return self._shown(observation, shown[0]), reward, terminated, truncated, self._told(info)

    def _shown(self, observation: Observation, action: NDArray[np.float32]) -> Observation:
        return observation | {"x": self.projections.project(observation["x"][None])[0], "action": action}

    def _told(self, info: dict[str, Any]) -> dict[str, Any]:
        return info | {"projection_id": int(self.projections.ids[0])}
