"""RL² (Duan et al. 2016, arXiv:1611.02779; Wang et al. 2016, arXiv:1611.05763): fed its last action and reward.

Its feedback is ± its one-hot action, + where it was right: action and reward in one vector. It never sees a label, even
where it is evaluated beside learners that do: to predict, it plays its own most likely labels and learns from their
rewards alone. Train it with `gpicl_agents.train_from_reward` on `feedback="reward"`.

State: the sequence model's, and the last action.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import one_hot

from gpicl_agents.models.base import TOKENS, SequenceAgent, SequenceState
from gpicl_agents.models.gru import GRU
from gpicl_agents.models.transformer import Transformer
from gpicl_envs.learners.base import Learner


@dataclass
class PlayerState(SequenceState):
    """A sequence model's state, and what it answered last: (B, K) one-hot, zeros before the first answer."""

    answered: torch.Tensor | None = None


class Player(SequenceAgent):
    """What turns a sequence model, named after it among the bases, into one that learns from its own rewards.

    Right and wrong actions have each an embedding of their own, E_a + E_y and E_a − E_y; with E_y alone they would be
    each other's negatives.
    """

    def build_memory(self) -> None:
        """The sequence model's, and the embedding of actions whatever their reward."""
        super().build_memory()
        self.embed_action = nn.Linear(self.n_classes, self.width, bias=False)
        nn.init.normal_(self.embed_action.weight)

    def embed_before(self, previous: torch.Tensor, feedback: torch.Tensor, n: int) -> torch.Tensor:
        """As any sequence model, and the last action."""
        return super().embed_before(previous, feedback, n) + self.embed_action(feedback.abs())

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
        logits, after = self.forward_step(state, x, state.answered * (2 * right - 1))
        answered = one_hot(logits.argmax(1), self.n_classes).to(logits.dtype)
        return logits, PlayerState(**vars(after) | {"answered": answered})

    def state_size(self, n_examples: int) -> int:
        """The sequence model's, and the last action."""
        return super().state_size(n_examples) + self.n_classes


class RL2(Player, GRU):
    """A GRU that learns from its rewards, as in both papers; arguments as `GRU`."""

    name = "rl2"


class RL2Transformer(Player, Transformer):
    """A Transformer that learns from its rewards; arguments as `Transformer`, with `tokens` `"paired"` or `"paper"`."""

    token_forms = TOKENS

    @property
    def name(self) -> str:
        """`rl2-` and the Transformer's."""
        return f"rl2-{super().name}"
