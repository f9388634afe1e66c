"""`Trials`: several episodes of any environment as one in-context problem."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces.utils import flatten
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from gpicl_envs.errors import check_integer
from gpicl_envs.wrappers.flattening import check_flat
from gpicl_envs.wrappers.problem_format import action_rows, action_size, problem_space

Observation = dict[str, NDArray[np.float32]]
NewTask = Callable[[gymnasium.Env[Any, Any], np.random.Generator], None]


class Trials(gymnasium.Wrapper[Observation, Any, Any, Any], RecordConstructorArgs):
    """Make K episodes of one environment into one problem, across which an agent can learn.

    The agent keeps its memory over these episodes: it can explore in the first ones and exploit in the last (RL², Duan
    et al. 2016, https://arxiv.org/abs/1611.02779). Observations are those of the package's own in-context RL problems:

    | key | space | |
    |---|---|---|
    | x | `Box(-inf, inf, (D,))` | the observation, flattened: Discrete ones are one-hot |
    | action | `Box(0, 1, (A,))` | one-hot previous action; with a Box of actions, that itself, flat and unbounded |
    | reward | `Box(-inf, inf, (1,))` | previous reward |
    | start | `Box(0, 1, (1,))` | 1 at the first step of each episode, else 0 |

    Action and reward are zeros at the first step of the problem only. The step that ends an episode begins the next: it
    returns the first observation of that one, with `start` = 1, beside the action and the reward that ended the last.
    The very last step of a problem shows the last observation.

    **Episode end.** `terminated` when the K-th episode has ended, whether by termination or by truncation; `truncated`
    after `max_steps` steps of the problem, whatever the episode. Without `max_steps`, an environment with endless
    episodes gives an endless problem.

    **Info.** `episode_number`, from 0; `episode_returns` (K,), the sums of rewards of the episodes that have ended, 0
    for the others; and the info of the environment's own last call.

    **Seeds.** `reset(seed=s)` seeds the environment once; later episodes and problems continue its random stream.

    **The hidden task** must stay for all K episodes. Most environments change their states alone in `reset()`. For
    others there are two hooks: `new_task(env, generator)` sets the task at the beginning of each problem of an
    environment that keeps it until told otherwise; `reset_options` tells an environment that redraws its task in
    `reset()` to keep it.

    Args:
        env: an environment with Discrete actions or a Box of them, and observations that can be flattened.
        episodes: K.
        max_steps: the most steps of a problem; None for no limit.
        new_task: called as `new_task(env.unwrapped, generator)` before the first reset of each problem; the generator
            is seeded by `reset(seed=...)`. All tasks must have the same spaces, and one must be set beforehand if the
            spaces depend on it. A spec with a function cannot be written as JSON.
        reset_options: the `options` of the resets that begin episodes 2 … K. Those of `Trials.reset` go to the first.

    Raises:
        TypeError: observations or actions are of kinds that have no fixed number of numbers.
        ValueError: an argument, or an action, is out of range.

    Example:
        >>> import gymnasium
        >>> from gpicl_envs.wrappers import Trials
        >>> env = Trials(gymnasium.make("CartPole-v1"), episodes=3)
        >>> observation, info = env.reset(seed=0)
        >>> {key: value.shape for key, value in observation.items()}
        {'x': (4,), 'action': (2,), 'reward': (1,), 'start': (1,)}
        >>> ends = False
        >>> while not ends:
        ...     observation, reward, ends, _, info = env.step(1)
        >>> info["episode_number"], info["episode_returns"]
        (2, array([ 8., 10., 10.]))
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        episodes: int,
        *,
        max_steps: int | None = None,
        new_task: NewTask | None = None,
        reset_options: dict[str, Any] | None = None,
    ) -> None:
        RecordConstructorArgs.__init__(
            self, episodes=episodes, max_steps=max_steps, new_task=new_task, reset_options=reset_options
        )
        gymnasium.Wrapper.__init__(self, env)
        self.episodes = check_integer("episodes", episodes, 1)
        self.max_steps = None if max_steps is None else check_integer("max_steps", max_steps, 1)
        self._new_task, self._reset_options = new_task, reset_options
        n_features = check_flat("Trials", env.observation_space)
        self._n_action = action_size("Trials", env.action_space)
        self.observation_space: Any = problem_space(n_features, self._n_action, env.action_space)
        self._generator: np.random.Generator | None = None
        self._number = self._steps = 0  # of the episode in the problem, and of the step
        self._return = 0.0
        self._returns = np.zeros(self.episodes)
        self._is_over = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a problem: with a new task, if there is a hook for it."""
        if seed is not None or self._generator is None:
            self._generator = np.random.default_rng(seed)
        if self._new_task is not None:
            self._set_new_task(self._new_task, self._generator)
        observation, info = self.env.reset(seed=seed, options=options)
        self._number = self._steps = 0
        self._return, self._returns, self._is_over = 0.0, np.zeros(self.episodes), False
        return self._shown(observation, np.zeros(self._n_action, np.float32), 0.0, True), info | self._facts()

    def step(self, action: Any) -> tuple[Observation, Any, bool, bool, dict[str, Any]]:
        """Take an action; if it ends an episode within the problem, begin the next one."""
        if self._is_over:
            raise ResetNeeded("step() before the first reset(), or after the end of the problem: call reset() first.")
        shown = action_rows(self.env.action_space, [action], 1)[0]
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._steps += 1
        self._return += float(reward)
        ended = bool(terminated or truncated)
        if ended:
            self._returns[self._number] = self._return
        is_last = ended and self._number == self.episodes - 1
        is_cut = not is_last and self._steps == self.max_steps
        self._is_over = is_last or is_cut
        starts = ended and not self._is_over
        if starts:
            observation, info = self.env.reset(options=self._reset_options)
            self._number, self._return = self._number + 1, 0.0
        return self._shown(observation, shown, reward, starts), reward, is_last, is_cut, info | self._facts()

    def _set_new_task(self, new_task: NewTask, generator: np.random.Generator) -> None:
        new_task(self.env.unwrapped, generator)
        spaces = self.env.observation_space, self.env.action_space
        found = problem_space(check_flat("Trials", spaces[0]), action_size("Trials", spaces[1]), spaces[1])
        if found != self.observation_space:
            raise ValueError(
                f"A new task changed the spaces of the environment to {spaces}: all tasks must have the same, and "
                "where they depend on the task, one must be set before Trials(...)."
            )

    def _shown(self, observation: Any, action: NDArray[np.float32], reward: Any, starts: bool) -> Observation:
        return {
            "x": np.asarray(flatten(self.env.observation_space, observation)).astype(np.float32),
            "action": action,
            "reward": np.array([reward], np.float32),
            "start": np.array([starts], np.float32),
        }

    def _facts(self) -> dict[str, Any]:
        return {"episode_number": self._number, "episode_returns": self._returns.copy()}
