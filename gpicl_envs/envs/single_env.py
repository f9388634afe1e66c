"""`InContextEnv`: one episode at a time, in NumPy, as in gymnasium's own environments.

The vector environment makes the spaces and the episodes, and `actions.py` has the rules, for both; what is here is one
position in one episode.
"""

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpicl_envs.envs import signature_with_arguments_of
from gpicl_envs.envs.actions import as_single_action
from gpicl_envs.envs.batch_of_one import BatchOfOne, first_row
from gpicl_envs.envs.vector_env import InContextVectorEnv
from gpicl_envs.rendering.frame import make_frame
from gpicl_envs.rendering.modes import render
from gpicl_envs.tasks import DEFAULT_DATASET
from gpicl_envs.tasks.base import Task
from gpicl_envs.tasks.episodes import Episodes


class InContextEnv(BatchOfOne):
    """One in-context learning problem, in NumPy: the batch of one of `InContextVectorEnv`, which describes it.

    Args:
        dataset: a registered name, the path of an .npz file, or a `Dataset`.
        render_mode: None, `"rgb_array"`, `"ansi"`, or `"human"`: a window that follows every reset and step.
        **arguments: the other arguments of `InContextVectorEnv`.
    """

    batch_class = InContextVectorEnv

    def __init__(self, dataset: Any = DEFAULT_DATASET, *, render_mode: str | None = None, **arguments: Any) -> None:
        super().__init__(dataset, render_mode=render_mode, **arguments)
        self.tasks, self._action_type = self._batch.tasks, self._batch.action_type

    __signature__ = signature_with_arguments_of(__init__, InContextVectorEnv, leave_out=("num_envs", "autoreset_mode"))

    def _begun(self) -> None:
        """Keep the arrays of the new episode."""
        self._task_id = int(self.episode.task_id[0])
        self._x: NDArray[np.float32] = first_row(self.episode.x)
        self._targets: NDArray[Any] = self.episode.y.cpu().numpy()  # (1, N)
        self._predictions = np.zeros_like(self._targets[0])

    def step(self, action: Any) -> tuple[dict[str, NDArray[np.float32]], float, bool, bool, dict[str, Any]]:
        """Predict the label of the current example.

        Args:
            action: a label, (K,) logits or a value; a batch of one is taken too.

        Returns:
            Observation, reward, terminated, truncated, and {label, task_id}; no label with bandit feedback.
        """
        n, rules = self._awaited(), self._action_type
        checked, target = rules.check(as_single_action(action, rules.shape)[None]), self._targets[:, n]
        self._predictions[n] = rules.prediction(checked)[0]
        feedback, reward = rules.feedback_for(checked, target)[0].copy(), rules.reward(checked, target).item()
        self._position += 1
        self._update_window()
        ended = self._position == len(self._x)
        x = np.zeros_like(self._x[n]) if ended else self._x[n + 1].copy()
        info = {"task_id": self._task_id}
        if rules.feedback == "label":
            info["label"] = target.item()
        return {"x": x, "y": feedback}, reward, ended, False, info

    @property
    def task(self) -> Task:
        """The hidden task of the current episode, at the current example."""
        batch = self.tasks.hidden(self.episode, np.array([self._position]))
        first = {field.name: first_row(getattr(batch, field.name)) for field in fields(batch)}
        return Task(**first | {"task_id": int(batch.task_id)})

    @property
    def episode(self) -> Episodes:
        """The current episode as a batch of one, with its future labels, for tests and oracles."""
        return self._batch.episodes

    def _picture(self, mode: str) -> Any:
        return render(make_frame(self.tasks, self.episode, 0, self._predictions[: self._position]), mode)
