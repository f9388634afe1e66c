"""`PreviousActionAndReward` for a single environment, in NumPy."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from gpicl_envs.envs.actions import as_single_action

Observation = dict[str, NDArray[np.float32]]


class PreviousActionAndReward(gymnasium.Wrapper[Observation, Any, Observation, Any], RecordConstructorArgs):
    """Add the agent's previous action and reward to the observation, as RL² agents read them.

    A recurrent agent that reads its own action and reward can learn from bandit feedback, whatever the observation
    (Duan et al. 2016, https://arxiv.org/abs/1611.02779; Wang et al. 2016, https://arxiv.org/abs/1611.05763).

    | key | space | |
    |---|---|---|
    | action | `Box(0, 1, (K,))` | one-hot previous action; with a Box of actions, the action itself in that Box |
    | reward | `Box(-inf, inf, (1,))` | previous reward |

    Both are zeros at the first step of an episode.

    Args:
        env: an environment with a Dict of observations, and Discrete or Box actions.

    Example:
        >>> import gymnasium, gpicl_envs
        >>> from gpicl_envs.wrappers import PreviousActionAndReward
        >>> env = PreviousActionAndReward(gymnasium.make("GPICL-Digits-v0"))
        >>> observation, info = env.reset(seed=0)
        >>> observation, reward, *_ = env.step(3)
        >>> int(observation["action"].argmax()), float(observation["reward"][0]) == reward
        (3, True)
    """

    def __init__(self, env: gymnasium.Env[Observation, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)
        self.observation_space: Any = with_action_and_reward(env.observation_space, env.action_space)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode: the previous action and reward are zeros."""
        observation, info = self.env.reset(seed=seed, options=options)
        n_action = self.observation_space["action"].shape[0]
        return observation | {"action": np.zeros(n_action, np.float32), "reward": np.zeros(1, np.float32)}, info

    def step(self, action: Any) -> tuple[Observation, Any, bool, bool, dict[str, Any]]:
        """Step, and add this action and its reward to the observation that follows them."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if isinstance(self.action_space, Discrete):
            shown = np.zeros(int(self.action_space.n), np.float32)
            shown[int(as_single_action(action, ()))] = 1.0
        else:
            shown = as_single_action(action, self.action_space.shape or ()).astype(np.float32)
        added = {"action": shown, "reward": np.array([reward], np.float32)}
        return observation | added, reward, terminated, truncated, info


def with_action_and_reward(observations: Any, actions: Any) -> Dict:
    """Return the observation space with the spaces `action` and `reward`; raises TypeError if it cannot have them."""
    if not isinstance(observations, Dict) or {"action", "reward"} & set(observations.spaces):
        raise TypeError(
            "PreviousActionAndReward adds the keys 'action' and 'reward' to a Dict of observations that has neither, "
            f"given {observations}: apply it once, and before FlattenObservation."
        )
    if isinstance(actions, Discrete) and actions.start == 0:
        shown = Box(0.0, 1.0, (int(actions.n),), np.float32)
    elif isinstance(actions, Box) and len(actions.shape) == 1:
        shown = Box(actions.low, actions.high, dtype=np.float32)
    else:
        raise TypeError(f"PreviousActionAndReward needs Discrete(K) or Box(..., (K,)) actions, given {actions}.")
    return Dict(observations.spaces | {"action": shown, "reward": Box(-np.inf, np.inf, (1,), np.float32)})
