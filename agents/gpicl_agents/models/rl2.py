"""RL² (Duan et al. 2016, arXiv:1611.02779; Wang et al. 2016, arXiv:1611.05763): fed its last action and reward.

Its feedback is ± its one-hot action, + if it was right: action and reward in one vector. It never sees a label, even
when it is evaluated beside learners that do: in `predict` it takes its own most likely labels as actions and learns
from their rewards alone. Train it with `gpicl_agents.train_from_reward` on `feedback="reward"`.

State: that of the sequence model, and the last action.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import one_hot

from gpicl_agents.models.base import TOKENS, SequenceAgent
from gpicl_agents.models.gru import GRU
from gpicl_agents.models.sequence_state import Count, SequenceState
from gpicl_agents.models.transformer import Transformer
from gpicl_envs.learners.base import Learner


@dataclass(kw_only=True)
class BanditState(SequenceState):
    """The state of a sequence model, and its last action: (B, K) one-hot, zeros before the first."""

    action: torch.Tensor


class BanditAgent(SequenceAgent):
    """A sequence model that learns from bandit feedback; mixed into a model by naming it as that model's first base.

    Right and wrong actions have independent embeddings, E_a + E_y and E_a − E_y; with E_y alone they would be each
    other's negatives.
    """

    predicts_values = False  # an action is right or wrong

    def build_layers(self) -> None:
        """Make those of the model, and an embedding of actions whatever their reward."""
        super().build_layers()
        self.embed_action = nn.Linear(self.n_classes, self.width, bias=False)
        nn.init.normal_(self.embed_action.weight)

    def embed_previous_example(self, previous: torch.Tensor, feedback: torch.Tensor, n: Count) -> torch.Tensor:
        """As in every sequence model, and the last action."""
        return super().embed_previous_example(previous, feedback, n) + self.embed_action(feedback.abs())

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K), one position at a time, since each action changes the next feedback."""
        return Learner.predict(self, x, y)

    def predict_queries(self, x: torch.Tensor, y: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N), (B, Q, D) → (B, Q, K), by `predict`: feedback on the examples depends on its actions."""
        return Learner.predict_queries(self, x, y, queries)

    def start(self, batch_size: int) -> BanditState:
        """Return the state before the first example."""
        no_action = self.read_out.weight.new_zeros(batch_size, self.n_classes)
        return BanditState(**vars(super().start(batch_size)), action=no_action)

    def step(self, state: SequenceState, x: torch.Tensor, y_previous: torch.Tensor) -> tuple[torch.Tensor, BanditState]:
        """(B, D), (B, K) → (B, K); the label is used only to see whether the last action was right."""
        assert isinstance(state, BanditState)
        right = (state.action * y_previous).sum(1, keepdim=True)
        logits, after = self.forward_step(state, x, state.action * (2 * right - 1))
        action = one_hot(logits.argmax(1), self.n_classes).to(logits.dtype)
        return logits, BanditState(**vars(after) | {"action": action})

    def state_size(self, n_examples: int) -> int:
        """That of the sequence model, and the last action."""
        return super().state_size(n_examples) + self.n_classes


class RL2(BanditAgent, GRU):
    """A GRU that learns from its rewards, as in both papers."""

    name = "rl2"
    width: int = GRU.width  # not the default of BanditAgent, which comes first


class RL2Transformer(BanditAgent, Transformer):
    """A Transformer that learns from its rewards.

    Args:
        tokens: `"paired"` or `"paper"` (see `models/base.py`).
    """

    token_forms = TOKENS
    width: int = Transformer.width  # as above

    @property
    def name(self) -> str:
        """`rl2-` and the Transformer's."""
        return f"rl2-{super().name}"
