"""`InContextVectorEnv`: each episode is a supervised learning problem, with rewards for predictions.

The rules of a step are those of `actions.py`; here they are played batched, in torch. `stream_env.py` has seeds and
resets; `single_env.py` is the batch of one, in NumPy.
"""

from typing import Any

import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box, Dict
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from gpicl_envs.envs import signature_with_arguments_of
from gpicl_envs.envs.actions import make_action_type
from gpicl_envs.envs.stream_env import StreamVectorEnv, Tensors
from gpicl_envs.rendering.frame import Frame, make_frame
from gpicl_envs.rendering.modes import render
from gpicl_envs.sampling.torch_modes import in_plain_mode
from gpicl_envs.tasks import DEFAULT_DATASET, KINDS, make_tasks
from gpicl_envs.tasks.base import Task
from gpicl_envs.tasks.episodes import Episodes


class InContextVectorEnv(StreamVectorEnv):
    """A batch of in-context learning problems, as torch tensors on one device.

    ### Description
    Each environment shows N examples of a hidden task. At step n the agent sees the input x_n and the label of the
    previous example, and predicts the label y_n.

    ### Observation space
    `Dict(x: Box(-inf, inf, (D,)), y: Box(0, 1, (K,)))`: the input, and the one-hot label of the previous example (zeros
    at the first). With `feedback="reward"` (bandit feedback) the label is never shown, and `y` is ± the one-hot
    previous prediction, + if it was right. For regression (K = 1) `y` is the previous value, or the previous reward.

    ### Action space
    `action="label"`: `Discrete(K)`; `action="logits"`: `Box(-inf, inf, (K,))`; for regression `action="value"`:
    `Box(-inf, inf, (1,))`. Gradients that actions carry end here: what is shown has none.

    ### Starting state
    `reset` begins the next episode of a stream: a new hidden task (one of a fixed set with `n_tasks`) and N of its
    examples in random order, all given by the seed alone. `x` is the first input, and `y` is zeros.

    ### Rewards
    - `"label"`: 1 if right, else 0.
    - `"logits"`: the log-likelihood of the true label under the softmax, in nats. With bandit feedback, 1 if the most
      likely label is right, else 0.
    - `"value"`: −(ŷ − y)².

    ### Episode end
    `terminated` after N predictions; never `truncated`. The last observation holds x = 0 and the last feedback.

    ### Info
    `task_id`, and after a step with feedback `"label"` the `label` of the example just predicted, each with the mask of
    the environments that have it (`_task_id`, `_label`).

    ### Randomness
    `reset(seed=s)` gives environment i the seed s + i; its episodes 0, 1, 2, … are functions of that seed alone. So
    row i shows the same numbers as a single environment with seed s + i, whatever the size of the batch.

    Args:
        num_envs: B.
        dataset: a registered name, the path of an .npz file, or a `Dataset`: classification problems.
        function: a class of functions, such as `"LinearRegression"`: regression problems, instead of a dataset.
        prior: `"SyntheticTables"`: classification of synthetic tables, instead of a dataset.
        table: a small real table, such as `"iris"`: rows of it, then one query, instead of a dataset.
        mixture: a name or components of a `gpicl_envs.TaskMixture`: episodes of several kinds, instead of a dataset.
        action: how predictions are given: `"label"` (default) or `"logits"`; `"value"` for regression.
        feedback: what the agent sees after a prediction: the `"label"` or only the `"reward"`.
        autoreset_mode: an `AutoresetMode` or its value, which specs can keep as JSON: `"SameStep"` (default; the last
            observation and info of an ended episode are in the info, as `final_obs` and `final_info`), `"NextStep"`, or
            `"Disabled"` (then `reset(options={"reset_mask": mask})` starts new episodes in some environments).
        render_mode: None, `"rgb_array"` or `"ansi"`.
        device: where the tensors live.
        **task_arguments: the variant of the learning problem: arguments of `gpicl_envs.TaskDistribution`, or, with
            `function`, `prior`, `table` or `mixture`, of `FunctionDistribution`, `TableDistribution`,
            `RealTableDistribution` or `TaskMixture`.
    """

    @in_plain_mode
    def __init__(
        self,
        num_envs: int = 1,
        dataset: Any = DEFAULT_DATASET,
        *,
        function: str | None = None,
        prior: str | None = None,
        table: str | None = None,
        mixture: Any = None,
        action: str | None = None,
        feedback: str = "label",
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        render_mode: str | None = None,
        device: str | torch.device = "cpu",
        **task_arguments: Any,
    ) -> None:
        super().__init__(num_envs, autoreset_mode, render_mode)
        also = "action", "feedback", "render_mode"
        kinds = {"dataset": dataset, "function": function, "prior": prior, "table": table, "mixture": mixture}
        self.tasks = make_tasks(also, **kinds, device=device, **task_arguments)
        self.device, self.length, self.env_id = self.tasks.device, self.tasks.length, self.tasks.env_id
        self.action_type = make_action_type(action, feedback, self.tasks.n_classes)
        self.action, self.feedback = self.action_type.name, feedback

        x = Box(-np.inf, np.inf, (self.tasks.n_features,), np.float32)
        self._set_spaces(Dict(x=x, y=self.action_type.feedback_space), self.action_type.action_space)
        self._episodes: Episodes | None = None
        self._feedback = torch.zeros(num_envs, self.tasks.n_classes, dtype=torch.float32, device=self.device)
        target = torch.float32 if self.tasks.is_regression else torch.int64
        self._predictions = torch.zeros(num_envs, self.tasks.length, dtype=target, device=self.device)

    __signature__ = signature_with_arguments_of(__init__, *KINDS.values())

    @in_plain_mode
    def sample_episodes(self, number: int | None = None) -> Episodes:
        """Return B whole episodes at once: exactly those that `reset()` and N steps would show.

        Args:
            number: of the episode in each environment's stream; the streams then stay where they are. By default, the
                next episode of each stream, which advances as with `reset()`.
        """
        if number is not None:
            return self.tasks.episodes(self._seeds, np.full(self.num_envs, number, np.uint64))
        return self._next_episodes(np.ones(self.num_envs, bool))

    @property
    def episodes(self) -> Episodes:
        """The current episodes, with their future labels, for tests and oracles.

        The next episodes overwrite the memory of their inputs: clone what you keep.
        """
        if self._episodes is None:
            raise ResetNeeded("No episode has begun: call reset() first.")
        return self._episodes

    @property
    def task(self) -> Task:
        """The hidden tasks of the current episodes, at their current examples."""
        return self.tasks.hidden(self.episodes, self._position)

    def render_one(self, i: int, mode: str) -> Any:
        """Return a picture of environment i."""
        return render(self.frame(i), mode)

    def frame(self, i: int) -> Frame:
        """Return what a picture of environment i shows."""
        return make_frame(self.tasks, self.episodes, i, self._predictions[i, : self._position[i]].cpu().numpy())

    @property
    def _task_id(self) -> torch.Tensor:
        return self.episodes.task_id

    def _act(self, actions: Any, active: NDArray[np.bool_]) -> tuple[torch.Tensor, Tensors]:
        """(B,) rewards of the predictions, and the labels of the current examples unless feedback is the reward."""
        is_active = self._on_device(active)
        action = self.action_type.parse(actions, is_active)
        place = self._on_device(np.minimum(self._position, self.tasks.length - 1))[:, None]
        label = self.episodes.y.gather(1, place)[:, 0]
        predicted = self.action_type.prediction(action)[:, None]
        before = self._predictions.gather(1, place)
        self._predictions.scatter_(1, place, torch.where(is_active[:, None], predicted, before))
        self._feedback = torch.where(is_active[:, None], self.action_type.feedback_for(action, label), 0.0)
        self._move_to(self._position + active)
        shown = {"label": torch.where(is_active, label, -1)} if self.feedback == "label" else {}
        return torch.where(is_active, self.action_type.reward(action, label), 0.0), shown

    def _begin(self, mask: NDArray[np.bool_]) -> None:
        """Begin the next episode in the masked environments."""
        if mask.all():
            self._episodes = self._next_episodes(mask, None if self._episodes is None else self._episodes.x)
        else:
            self._episodes = self.episodes.replaced(np.flatnonzero(mask), self._next_episodes(mask))
        self._move_to(np.where(mask, 0, self._position))
        self._feedback.masked_fill_(self._on_device(mask)[:, None], 0.0)

    def _next_episodes(self, mask: NDArray[np.bool_], out: torch.Tensor | None = None) -> Episodes:
        """The next episode of each masked stream, its inputs in the memory `out` if given."""
        return self.tasks.episodes(*self._take_numbers(mask), out=out)

    def _observe(self) -> Tensors:
        """The input x of the current example (0 after the last) and the feedback on the one before."""
        n, x = self._common, self.episodes.x
        if n is not None:
            x = x[:, n].clone() if n < self.tasks.length else torch.zeros_like(x[:, 0])
        else:
            place = self._on_device(self._position)
            rows = torch.arange(self.num_envs, device=self.device)
            x = x[rows, place.clamp(max=self.tasks.length - 1)]
            x[place == self.tasks.length] = 0.0
        return {"x": x, "y": self._feedback.clone()}
