"""`InContextVectorEnv`: each episode is a supervised learning problem, with rewards for predictions.

The rules of a step are those of `actions.py`; here they are played batched, in torch, with resets of some environments
of the batch. `single_env.py` is the batch of one, in NumPy.
"""

from typing import Any

import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box, Dict
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from gpicl_envs.envs import signature_with_arguments_of
from gpicl_envs.envs.actions import make_action_type
from gpicl_envs.envs.reset_arguments import parse_reset_mask, parse_seeds
from gpicl_envs.errors import check_choice, check_integer
from gpicl_envs.rendering.frame import Frame, make_frame
from gpicl_envs.rendering.modes import BATCH_RENDER_MODES, RENDER_FPS, render
from gpicl_envs.sampling.philox import UInt64Array
from gpicl_envs.sampling.torch_modes import in_plain_mode
from gpicl_envs.tasks import DEFAULT_DATASET, KINDS, make_tasks
from gpicl_envs.tasks.base import Task
from gpicl_envs.tasks.episodes import Episodes

Tensors = dict[str, torch.Tensor]


class InContextVectorEnv(VectorEnv[Tensors, Any, Any]):
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

    metadata: dict[str, Any] = {"render_modes": list(BATCH_RENDER_MODES), "render_fps": RENDER_FPS}

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
        self.num_envs = check_integer("num_envs", num_envs, 1)
        if render_mode == "human":
            raise ValueError(
                "render_mode='human' shows one episode, in a window: give it to gymnasium.make; for a picture of each "
                "environment of a batch, give 'rgb_array' or 'ansi'."
            )
        self.render_mode = None if render_mode is None else check_choice("render_mode", render_mode, BATCH_RENDER_MODES)
        if not isinstance(autoreset_mode, AutoresetMode):
            check_choice("autoreset_mode", autoreset_mode, tuple(mode.value for mode in AutoresetMode))
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = self.metadata | {"autoreset_mode": self.autoreset_mode}
        also = "action", "feedback", "render_mode"
        kinds = {"dataset": dataset, "function": function, "prior": prior, "table": table, "mixture": mixture}
        self.tasks = make_tasks(also, **kinds, device=device, **task_arguments)
        self.device = self.tasks.device
        self.action_type = make_action_type(action, feedback, self.tasks.n_classes)
        self.action, self.feedback = self.action_type.name, feedback

        x = Box(-np.inf, np.inf, (self.tasks.n_features,), np.float32)
        self.single_observation_space = Dict(x=x, y=self.action_type.feedback_space)
        self.single_action_space = self.action_type.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

        self._seeds: UInt64Array = np.random.SeedSequence().generate_state(num_envs, np.uint64).astype(np.uint64)
        self._numbers = np.zeros(num_envs, np.uint64)  # of the next episode in each stream
        self._position = np.full(num_envs, -1)  # predictions made in the current episode; −1 before the first reset
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

    @in_plain_mode
    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Tensors, dict[str, Any]]:
        """Begin new episodes.

        Args:
            seed: s gives environment i the stream s + i; a list gives each one a stream; None continues the streams.
            options: `{"reset_mask": (B,) bool array}` begins new episodes in these environments only.

        Returns:
            Observations {x: (B, D), y: (B, K)} and info {task_id: (B,)}.
        """
        mask = parse_reset_mask(options, self.num_envs)
        if not mask.all() and self._episodes is None:
            raise ResetNeeded("reset_mask selects only some environments before the first reset(): call reset() first.")
        for i, one in enumerate(parse_seeds(seed, self.num_envs)):
            if one is not None and mask[i]:
                self._seeds[i], self._numbers[i] = one, 0
        self._begin(mask)
        return self._observe(), self._info(mask, task_id=self.episodes.task_id)

    @in_plain_mode
    def step(self, actions: Any) -> tuple[Tensors, torch.Tensor, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Predict the labels of the current examples.

        Args:
            actions: (B,) integer labels, (B, K) logits or (B, 1) values, a tensor or an array.

        Returns:
            Observations {x: (B, D), y: (B, K)}, rewards (B,) float32, terminations and truncations (B,) bool, and info.

        Raises:
            ResetNeeded: before the first reset, or after the end with autoreset disabled.
            ValueError: an action is not in the action space.
        """
        ended = self._awaiting_autoreset()
        active = ~ended
        label, reward = self._predict(actions, active)
        if ended.any():
            self._begin(ended)
        last = active & (self._position == self.tasks.length)
        observation, info, terminated = self._observe(), self._step_info(label, active), self._on_device(last)
        if self.autoreset_mode is AutoresetMode.SAME_STEP and last.any():
            final = {"final_obs": observation, "final_info": info, "_final_obs": terminated, "_final_info": terminated}
            self._begin(last)
            observation, info = self._observe(), self._step_info(label, active & ~last) | final
        return observation, reward, terminated, torch.zeros_like(terminated), info

    def render(self) -> tuple[Any, ...] | None:
        """Return a picture of each environment: (height, width, 3) uint8 arrays or strings, by `render_mode`."""
        if self.render_mode is None:
            return None
        return tuple(render(self.frame(i), self.render_mode) for i in range(self.num_envs))

    def frame(self, i: int) -> Frame:
        """Return what a picture of environment i shows."""
        return make_frame(self.tasks, self.episodes, i, self._predictions[i, : self._position[i]].cpu().numpy())

    def _awaiting_autoreset(self) -> NDArray[np.bool_]:
        """(B,) the environments that have ended, and only begin a new episode in this step (NEXT_STEP)."""
        if (self._position < 0).any():
            raise ResetNeeded("step() before the first reset(): call reset() first.")
        ended = self._position == self.tasks.length
        if ended.any() and self.autoreset_mode is not AutoresetMode.NEXT_STEP:
            raise ResetNeeded(
                f"step() after the end of the episode in environments {np.flatnonzero(ended).tolist()[:8]}: call "
                'reset(), or reset(options={"reset_mask": mask}) for these alone.'
            )
        return ended

    def _predict(self, actions: Any, active: NDArray[np.bool_]) -> tuple[torch.Tensor, torch.Tensor]:
        """(B,) labels and rewards of the current examples; moves on. Inactive environments: label −1, reward 0."""
        if not active.any():
            zeros = torch.zeros(self.num_envs, dtype=torch.float32, device=self.device)
            return zeros.long() - 1, zeros
        is_active = self._on_device(active)
        action = self.action_type.parse(actions, is_active)
        place = self._on_device(np.minimum(self._position, self.tasks.length - 1))[:, None]
        label = self.episodes.y.gather(1, place)[:, 0]
        predicted = self.action_type.prediction(action)[:, None]
        before = self._predictions.gather(1, place)
        self._predictions.scatter_(1, place, torch.where(is_active[:, None], predicted, before))
        self._feedback = torch.where(is_active[:, None], self.action_type.feedback_for(action, label), 0.0)
        self._position[active] += 1
        return torch.where(is_active, label, -1), torch.where(is_active, self.action_type.reward(action, label), 0.0)

    def _begin(self, mask: NDArray[np.bool_]) -> None:
        """Begin the next episode in the masked environments."""
        if mask.all():
            self._episodes = self._next_episodes(mask, None if self._episodes is None else self._episodes.x)
        else:
            self._episodes = self.episodes.replaced(np.flatnonzero(mask), self._next_episodes(mask))
        self._position[mask] = 0
        self._feedback.masked_fill_(self._on_device(mask)[:, None], 0.0)

    def _next_episodes(self, mask: NDArray[np.bool_], out: torch.Tensor | None = None) -> Episodes:
        """The next episode of each masked stream, its inputs in the memory `out` if given."""
        episodes = self.tasks.episodes(self._seeds[mask], self._numbers[mask], out=out)
        self._numbers[mask] += np.uint64(1)
        return episodes

    def _observe(self) -> Tensors:
        """The input x of the current example (0 after the last) and the feedback on the one before."""
        n, x = self._position, self.episodes.x
        if (n == n[0]).all():
            x = x[:, n[0]].clone() if n[0] < self.tasks.length else torch.zeros_like(x[:, 0])
        else:
            place = self._on_device(n)
            rows = torch.arange(self.num_envs, device=self.device)
            x = x[rows, place.clamp(max=self.tasks.length - 1)]
            x[place == self.tasks.length] = 0.0
        return {"x": x, "y": self._feedback.clone()}

    def _step_info(self, label: torch.Tensor, predicted: NDArray[np.bool_]) -> dict[str, Any]:
        """The task ids, and with feedback "label" the labels of the examples that environments have predicted."""
        shown = self._info(predicted, label=label) if self.feedback == "label" and predicted.any() else {}
        return self._info(np.ones(self.num_envs, bool), task_id=self.episodes.task_id) | shown

    def _info(self, mask: NDArray[np.bool_], **values: torch.Tensor) -> dict[str, Any]:
        """Copies of the values, each beside the mask of the environments that have it (gymnasium's convention)."""
        copies = {name: value.clone() for name, value in values.items()}
        return copies | {f"_{name}": self._on_device(mask) for name in values}

    def _on_device(self, values: NDArray[Any]) -> torch.Tensor:
        """(B,) numbers or truth values; if all are equal, without a transfer, which would make a GPU wait."""
        if (values == values[0]).all():
            return torch.full((self.num_envs,), values[0].item(), device=self.device)
        return torch.from_numpy(values.copy()).to(self.device)
