"""`InContextEnv`: one episode at a time, in NumPy, as in gymnasium's own environments.

The vector environment makes the spaces and the episodes, and `actions.py` has the rules, for both; what is here is one
position in one episode.
"""

from dataclasses import fields, replace
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from gpicl_envs.envs import signature_with_arguments_of
from gpicl_envs.envs.actions import as_single_action
from gpicl_envs.envs.vector_env import InContextVectorEnv
from gpicl_envs.errors import UnexpectedArgumentError, check_choice, check_integer
from gpicl_envs.rendering.frame import Frame, make_frame
from gpicl_envs.rendering.modes import RENDER_FPS, RENDER_MODES, render
from gpicl_envs.rendering.window import Window
from gpicl_envs.sampling.philox import WORD
from gpicl_envs.tasks import DEFAULT_DATASET
from gpicl_envs.tasks.base import Task
from gpicl_envs.tasks.episodes import Episodes


class InContextEnv(gymnasium.Env[dict[str, NDArray[np.float32]], Any]):
    """One in-context learning problem, in NumPy: the batch of one of `InContextVectorEnv`, which describes it.

    Args:
        dataset: a registered name, the path of an .npz file, or a `Dataset`.
        render_mode: None, `"rgb_array"`, `"ansi"`, or `"human"`: a window that follows every reset and step.
        **arguments: the other arguments of `InContextVectorEnv`.
    """

    metadata: dict[str, Any] = InContextVectorEnv.metadata | {"render_modes": list(RENDER_MODES)}

    def __init__(self, dataset: Any = DEFAULT_DATASET, *, render_mode: str | None = None, **arguments: Any) -> None:
        self.render_mode = None if render_mode is None else check_choice("render_mode", render_mode, RENDER_MODES)
        for name in ("num_envs", "autoreset_mode"):
            if name in arguments:
                raise UnexpectedArgumentError(
                    f"InContextEnv got an unexpected keyword argument {name!r}: it is one of gymnasium.make_vec."
                )
        self._batch = InContextVectorEnv(1, dataset, autoreset_mode=AutoresetMode.DISABLED, **arguments)
        self.tasks, self._action_type = self._batch.tasks, self._batch.action_type
        self._spec: EnvSpec | None = None
        self._position = -1  # predictions made in the current episode; −1 before the first reset
        self._window = Window(self.tasks.env_id, RENDER_FPS) if render_mode == "human" else None
        self.observation_space = self._batch.single_observation_space
        self.action_space = self._batch.single_action_space

    __signature__ = signature_with_arguments_of(__init__, InContextVectorEnv, leave_out=("num_envs", "autoreset_mode"))

    @property
    def spec(self) -> EnvSpec | None:
        """What `gymnasium.make` made this from, with the length of an episode as `max_episode_steps`.

        The registered ids leave it open, since `length` may be given: so `make` adds no `TimeLimit`, whose truncation
        would be a second end beside the termination.
        """
        return self._spec

    @spec.setter
    def spec(self, made_from: EnvSpec | None) -> None:
        self._spec = None if made_from is None else replace(made_from, max_episode_steps=self.tasks.length)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[np.float32]], dict[str, Any]]:
        """Begin a new episode; a seed begins a new stream of episodes. Returns the observation and {task_id}."""
        continues = self._np_random is not None
        seed = None if seed is None else check_integer("seed", seed, 0, WORD - 1)
        super().reset(seed=seed)
        # Unseeded, gymnasium draws 128 bits, of which a stream takes 64.
        stream = seed if seed is not None or continues else self.np_random_seed % WORD
        observation, info = self._batch.reset(seed=stream)
        self._position, self._task_id = 0, int(info["task_id"])
        self._x: NDArray[np.float32] = _first(self.episode.x)
        self._targets: NDArray[Any] = self.episode.y.cpu().numpy()  # (1, N)
        self._predictions = np.zeros_like(self._targets[0])
        self._update_window()
        return _first(observation), {"task_id": self._task_id}

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

    def _awaited(self) -> int:
        """The position of the example whose label is to be predicted."""
        if self._position < 0:
            raise ResetNeeded("step() before the first reset(): call reset() first.")
        if self._position == len(self._x):
            raise ResetNeeded("step() after the end of the episode: call reset() first.")
        return self._position

    @property
    def task(self) -> Task:
        """The hidden task of the current episode, at the current example."""
        batch = self.tasks.hidden(self.episode, np.array([self._position]))
        first = {field.name: _first(getattr(batch, field.name)) for field in fields(batch)}
        return Task(**first | {"task_id": int(batch.task_id)})

    @property
    def episode(self) -> Episodes:
        """The current episode as a batch of one, with its future labels, for tests and oracles."""
        return self._batch.episodes

    def render(self) -> Any:
        """Return a (height, width, 3) uint8 array or a string, by `render_mode`; None in human mode."""
        if self.render_mode is None or self.render_mode == "human":
            return None
        return render(self._frame(), self.render_mode)

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()

    def _frame(self) -> Frame:
        return make_frame(self.tasks, self.episode, 0, self._predictions[: self._position])

    def _update_window(self) -> None:
        if self._window is not None:
            self._window.show(render(self._frame(), "rgb_array"))


def _first(value: Any) -> Any:
    """The first row of a tensor, or of each tensor of a dictionary, as an array; None stays None."""
    if isinstance(value, dict):
        return {name: _first(tensor) for name, tensor in value.items()}
    return None if value is None else value[0].cpu().numpy()
