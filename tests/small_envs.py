"""Environments of Gymnasium that are learned in seconds, for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete

AIM = "Aim-v0"


class Aim(gymnasium.Env):
    """Four steps of aiming at a point that is seen: the reward is minus the squared distance, in units of the bounds.

    Args:
        actions: "box" of [0, 20], "discrete" ones from 5 to 7, or a "mixture", which nothing can learn.
    """

    def __init__(self, actions: str = "box") -> None:
        box, discrete = Box(0.0, 20.0, (1,), np.float32), Discrete(3, start=5)
        self.observation_space = Box(-1.0, 1.0, (1,), np.float32)
        self.action_space = {"box": box, "discrete": discrete, "mixture": Dict(a=box, b=discrete)}[actions]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.n = 0
        return self._point(), {}

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action), action
        given = (float(action[0]) - 10) / 10 if isinstance(self.action_space, Box) else int(action) - 6.0
        reward, self.n = -((given - float(self.point[0])) ** 2), self.n + 1
        return self._point(), reward, self.n == 4, False, {}

    def _point(self) -> np.ndarray:
        self.point = self.np_random.uniform(-1, 1, 1).astype(np.float32)
        return self.point


@contextmanager
def aiming() -> Iterator[None]:
    """Within, gymnasium knows `AIM`."""
    gymnasium.register(AIM, entry_point=Aim)
    try:
        yield
    finally:
        del gymnasium.registry[AIM]
