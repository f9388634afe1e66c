"""`ProblemVectorEnv`: in-context RL problems in which actions matter, batched in torch."""

from typing import Any

import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from gpicl_envs.envs import signature_with_arguments_of
from gpicl_envs.envs.actions import DiscreteActions
from gpicl_envs.envs.arrays import Array, as_tensor
from gpicl_envs.envs.stream_env import StreamVectorEnv
from gpicl_envs.rendering.text import text_picture
from gpicl_envs.rl.kinds import PROBLEMS, make_problems
from gpicl_envs.rl.play import Play
from gpicl_envs.rl.problems import Problems, Tensors
from gpicl_envs.sampling.torch_modes import in_plain_mode
from gpicl_envs.tasks.base import Task
from gpicl_envs.wrappers.problem_format import problem_space


class ProblemVectorEnv(StreamVectorEnv):
    """A batch of in-context RL problems, as torch tensors on one device.

    ### Description
    A problem is K episodes of H steps in one hidden environment. The agent keeps its memory across these episodes: only
    so can it explore in the first ones and exploit in the last.

    ### Observation space
    `Dict(x: Box(-inf, inf, (D,)), action: Box(0, 1, (A,)), reward: Box(-inf, inf, (1,)), start: Box(0, 1, (1,)))`: what
    is seen of the state; the one-hot previous action and its reward (zeros at the first step of the problem); and 1 at
    the first step of each episode, else 0.

    ### Action space
    `Discrete(A)`.

    ### Starting state
    `reset` begins the next problem of a stream: a new hidden environment (one of a fixed set with `n_tasks`). The
    previous action and its reward are zeros, and `start` is 1.

    ### Rewards
    Those of the hidden environment, as they are.

    ### Episode end
    `terminated` after N = K · H steps, the end of the problem; never `truncated`. The ends of the episodes within a
    problem are marked by `start` alone.

    ### Info
    `task_id`, with the mask `_task_id`.

    ### Randomness
    `reset(seed=s)` gives environment i the seed s + i; its problems 0, 1, 2, … with all their noise are functions of
    that seed alone. So all players of the same seed meet the same luck.

    Args:
        num_envs: B.
        problem: the kind, such as `"Bandit"`.
        autoreset_mode: an `AutoresetMode` or its value: `"SameStep"` (default; the last observation and info of an
            ended problem are in the info, as `final_obs` and `final_info`), `"NextStep"`, or `"Disabled"` (then
            `reset(options={"reset_mask": mask})` begins new problems in some environments).
        render_mode: None, `"rgb_array"` or `"ansi"`.
        device: where the tensors live.
        **problem_arguments: of the kind's distribution, such as `gpicl_envs.rl.bandit.Bandit`.
    """

    @in_plain_mode
    def __init__(
        self,
        num_envs: int = 1,
        problem: str = "Bandit",
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        render_mode: str | None = None,
        device: str | torch.device = "cpu",
        **problem_arguments: Any,
    ) -> None:
        super().__init__(num_envs, autoreset_mode, render_mode)
        self.distribution = make_problems(problem, device=device, **problem_arguments)
        self.device, self.length = self.distribution.device, self.distribution.length
        self.env_id = self.distribution.env_id
        d, a = self.distribution.n_features, self.distribution.n_actions
        self.actions = DiscreteActions(a)
        self._set_spaces(problem_space(d, a, Discrete(a)), Discrete(a))
        self._problems: Problems | None = None
        self._play, self._in_numpy = Play(self.distribution), self.device.type == "cpu"

    __signature__ = signature_with_arguments_of(__init__, *PROBLEMS.values())

    @property
    def problems(self) -> Problems:
        """The current problems with all their noise, for tests and for players that know everything."""
        if self._problems is None:
            raise ResetNeeded("No problem has begun: call reset() first.")
        return self._problems

    @property
    def task(self) -> Task:
        """The hidden environments of the current problems."""
        return Task(self.problems.ids, parameters=self.problems.hidden)

    @property
    def state(self) -> torch.Tensor:
        """(B,) int64, the current states."""
        len(self.problems)  # refused before the first reset
        return as_tensor(self._play.state, self.device)

    def render_one(self, i: int, mode: str) -> Any:
        """Return a picture of environment i."""
        return text_picture(self.distribution.describe(self.problems, i, int(self._play.state[i])), mode)

    @property
    def _task_id(self) -> torch.Tensor:
        return self.problems.ids

    @in_plain_mode
    def begin(self, problems: Problems) -> Tensors:
        """Begin the given B problems, instead of the next of the streams; for evaluation.

        Returns:
            Observations.

        Raises:
            ValueError: there is not one problem for each environment.
        """
        if len(problems) != self.num_envs:
            raise ValueError(f"{len(problems)} problems for {self.num_envs} environments: give one for each.")
        self._problems = problems
        self._to_start(self._everyone)
        return self._observe()

    def _begin(self, mask: NDArray[np.bool_]) -> None:
        new = self.distribution.problems(*self._take_numbers(mask))
        if mask.all():
            self._problems = new
        else:
            self.problems.replace(np.flatnonzero(mask), new)
        self._to_start(mask)

    def _to_start(self, mask: NDArray[np.bool_]) -> None:
        """Put the masked environments to the first step of their problems."""
        played = self.problems.numpy() if self._in_numpy else self.problems
        self._play.begin(played, None if mask.all() else self._playable(mask))
        self._move_to(np.where(mask, 0, self._position))

    def _act(self, actions: Any, active: NDArray[np.bool_]) -> tuple[torch.Tensor, Tensors]:
        is_active = self._playable(active)
        action = self.actions.parse(actions, is_active)
        if self._common is not None:
            reward = self._play.act(action, self._common)
        else:
            n = self._playable(np.minimum(self._position, self.length - 1))
            reward = self._play.act(action.clip(0, self.distribution.n_actions - 1), n, is_active)
        self._move_to(self._position + active)
        return self._tensor(reward), {}

    def _observe(self) -> Tensors:
        n = self._playable(self._position) if self._common is None else self._common
        return {name: self._tensor(value) for name, value in self._play.observe(n).items()}

    def _playable(self, values: NDArray[Any]) -> Array:
        """(B,) numbers or truth values for `Play`: NumPy computes faster than torch on the CPU, and not elsewhere."""
        return values if self._in_numpy else self._on_device(values)

    def _tensor(self, values: Array) -> torch.Tensor:
        return torch.from_numpy(values) if self._in_numpy else values
