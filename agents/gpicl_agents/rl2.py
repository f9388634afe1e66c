"""RL² (Duan et al. 2016, arXiv:1611.02779; Wang et al. 2016, arXiv:1611.05763): a GRU fed its last action and reward.

It is told ± its one-hot action, + where it was right: action and reward in one vector, the environment's bandit
feedback. It never sees a label, also where it is evaluated beside learners that do: asked to predict, it plays its own
likeliest answers and learns from their rewards alone. Train it with `gpicl_agents.reinforce.train_from_reward` on
`feedback="reward"`.

State: the GRU's, and the last action.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import one_hot

from gpicl_agents.gru import GRU
from gpicl_agents.sequence import SequenceState
from gpicl_envs.learner import Learner


@dataclass
class PlayerState(SequenceState):
    """A sequence model's state, and what it answered last: (B, K) one-hot, zeros before the first answer."""

    answered: torch.Tensor | None = None


class RL2(GRU):
    """A GRU that learns from its rewards; arguments as `GRU`."""

    name = "rl2"

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K), one position after the other, since each answer changes what comes."""
        return Learner.predict(self, x, y)

    def start(self, batch_size: int) -> PlayerState:
        """Nothing seen, nothing answered."""
        nothing = self.read_out.weight.new_zeros(batch_size, self.n_classes)
        return PlayerState(**vars(super().start(batch_size)), answered=nothing)

    def step(self, state: SequenceState, x: torch.Tensor, y_previous: torch.Tensor) -> tuple[torch.Tensor, PlayerState]:
        """(B, D), (B, K) → (B, K); of the label it takes only whether its own answer was right."""
        assert isinstance(state, PlayerState) and state.answered is not None
        right = (state.answered * y_previous).sum(1, keepdim=True)
        logits, after = self.answer_step(state, x, state.answered * (2 * right - 1))
        answered = one_hot(logits.argmax(1), self.n_classes).to(logits.dtype)
        return logits, PlayerState(after.total, after.previous, after.memory, after.n, answered)

    def state_size(self, n_examples: int) -> int:
        """The GRU's, and the last action."""
        return super().state_size(n_examples) + self.n_classes
