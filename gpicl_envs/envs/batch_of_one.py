"""`BatchOfOne`: what all single environments of this package share: a vector environment of one, shown in NumPy."""

from dataclasses import fields, replace
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from gpicl_envs.envs.stream_env import StreamVectorEnv
from gpicl_envs.errors import UnexpectedArgumentError, check_choice, check_integer
from gpicl_envs.rendering.modes import RENDER_FPS, RENDER_MODES
from gpicl_envs.rendering.window import Window
from gpicl_envs.sampling.philox import WORD
from gpicl_envs.tasks.base import Task


class BatchOfOne(gymnasium.Env[dict[str, NDArray[Any]], Any]):
    """One environment, in NumPy: the batch of one of a vector environment.

    A subclass sets `batch_class`, and steps in NumPy by the same rules, since torch is slow for a batch of one.

    Args:
        *arguments: the positional arguments of the vector environment after `num_envs`.
        render_mode: None, `"rgb_array"`, `"ansi"`, or `"human"`: a window that follows every reset and step.
        **options: its other arguments.
    """

    batch_class: type[Any]  # a `StreamVectorEnv`
    metadata: dict[str, Any] = StreamVectorEnv.metadata | {"render_modes": list(RENDER_MODES)}

    def __init__(self, *arguments: Any, render_mode: str | None = None, **options: Any) -> None:
        self.render_mode = None if render_mode is None else check_choice("render_mode", render_mode, RENDER_MODES)
        for name in ("num_envs", "autoreset_mode"):
            if name in options:
                raise UnexpectedArgumentError(
                    f"{type(self).__name__} got an unexpected keyword argument {name!r}: it is one of "
                    "gymnasium.make_vec."
                )
        self._batch: Any = self.batch_class(1, *arguments, autoreset_mode=AutoresetMode.DISABLED, **options)
        self._position = -1  # steps taken in the current episode; −1 before the first reset
        self._spec: EnvSpec | None = None
        self._window = Window(self._batch.env_id, RENDER_FPS) if render_mode == "human" else None
        self.observation_space = self._batch.single_observation_space
        self.action_space = self._batch.single_action_space

    @property
    def spec(self) -> EnvSpec | None:
        """What `gymnasium.make` made this from, with the length of an episode as `max_episode_steps`.

        The registered ids leave it open, since `length` may be given: so `make` adds no `TimeLimit`, whose truncation
        would be a second end beside the termination.
        """
        return self._spec

    @spec.setter
    def spec(self, made_from: EnvSpec | None) -> None:
        self._spec = None if made_from is None else replace(made_from, max_episode_steps=self._batch.length)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Begin a new episode; a seed begins a new stream of episodes. Returns the observation and {task_id}."""
        continues = self._np_random is not None
        seed = None if seed is None else check_integer("seed", seed, 0, WORD - 1)
        super().reset(seed=seed)
        # Unseeded, gymnasium draws 128 bits, of which a stream takes 64.
        stream = seed if seed is not None or continues else self.np_random_seed % WORD
        observation, info = self._batch.reset(seed=stream)
        self._position = 0
        self._begun()
        self._update_window()
        return first_row(observation), {"task_id": int(info["task_id"])}

    def _begun(self) -> None:
        """Prepare for the steps of a new episode; nothing by default."""

    def _awaited(self) -> int:
        """The number of the step to be taken in the episode.

        Raises:
            ResetNeeded: before the first reset, or after the end.
        """
        if self._position < 0:
            raise ResetNeeded("step() before the first reset(): call reset() first.")
        if self._position == self._batch.length:
            raise ResetNeeded("step() after the end of the episode: call reset() first.")
        return self._position

    @property
    def task(self) -> Task:
        """The hidden task of the current episode, at the current step."""
        batch = self._batch.task
        first = {field.name: first_row(getattr(batch, field.name)) for field in fields(batch)}
        return Task(**first | {"task_id": int(batch.task_id)})

    def render(self) -> Any:
        """Return a (height, width, 3) uint8 array or a string, by `render_mode`; None in human mode."""
        if self.render_mode is None or self.render_mode == "human":
            return None
        return self._picture(self.render_mode)

    def _picture(self, mode: str) -> Any:
        return self._batch.render_one(0, mode)

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()

    def _update_window(self) -> None:
        if self._window is not None:
            self._window.show(self._picture("rgb_array"))


def first_row(value: Any) -> Any:
    """The first row of a tensor, or of each tensor of a dictionary, as an array or a number; None stays None."""
    if isinstance(value, dict):
        return {name: first_row(tensor) for name, tensor in value.items()}
    return None if value is None else value[0].cpu().numpy()
