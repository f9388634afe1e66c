"""`ProblemEnv`: one in-context RL problem at a time, in NumPy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpicl_envs.envs import signature_with_arguments_of
from gpicl_envs.envs.actions import as_single_action
from gpicl_envs.envs.batch_of_one import BatchOfOne, first_row
from gpicl_envs.rl.vector_env import ProblemVectorEnv


class ProblemEnv(BatchOfOne):
    """One in-context RL problem, in NumPy: the batch of one of `ProblemVectorEnv`, which describes it.

    Args:
        problem: the kind, such as `"Bandit"`.
        render_mode: None, `"rgb_array"`, `"ansi"`, or `"human"`: a window that follows every reset and step.
        **arguments: of the kind's distribution, such as `gpicl_envs.rl.bandit.Bandit`.
    """

    batch_class = ProblemVectorEnv

    def __init__(self, problem: str = "Bandit", *, render_mode: str | None = None, **arguments: Any) -> None:
        super().__init__(problem, render_mode=render_mode, **arguments)

    __signature__ = signature_with_arguments_of(__init__, ProblemVectorEnv, leave_out=("num_envs", "autoreset_mode"))

    def step(self, action: Any) -> tuple[dict[str, NDArray[Any]], float, bool, bool, dict[str, Any]]:
        """Take an action; a batch of one is taken too.

        Returns:
            Observation, reward, terminated, truncated, and {task_id}.
        """
        one = np.asarray(as_single_action(action, ()))[None]
        observation, reward, terminated, _, info = self._batch.step(one)
        self._update_window()
        return first_row(observation), reward.item(), terminated.item(), False, {"task_id": int(info["task_id"])}
