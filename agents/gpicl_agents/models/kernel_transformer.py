"""A Transformer with kernel ridge regression built in: strongest on few examples, and no longer a black box.

One-off tasks are Gaussian projections, whose distribution no rotation changes: all information in an episode lies in
its labels and in the inner products of its inputs. H kernel ridge regressions use these (`causal_ridge.py`). The
Transformer reads all their predictions f_n and standard deviations in its tokens; its logits are added to a weighted
sum of the heads' predictions.
"""

from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch
from torch import nn

from gpicl_agents.models.causal_ridge import CausalRidge, RidgeMemory
from gpicl_agents.models.sequence_state import SequenceState
from gpicl_agents.models.transformer import Transformer
from gpicl_envs.errors import check_integer


@dataclass(kw_only=True)
class KernelState(SequenceState):
    """The Transformer's state and that of the kernel heads."""

    ridge: RidgeMemory


class KernelTransformer(Transformer):
    """The Transformer with similarity bias, reading and correcting the predictions of H kernel ridge regressions.

    Args:
        similarity_bias: initial β of the attention's similarity bias; 0 for none.
        kernel_heads: H.
    """

    name = "transformer+kernel"  # says that kernel ridge regression is built in

    width: int = 128
    n_layers: int = 2
    mlp_width: int = 256
    similarity_bias: float = 10.0
    kernel_heads: int = 8
    # Fixed, not arguments:
    tokens: str = field(default="paired", init=False)
    window: int | None = field(default=None, init=False)
    max_length: int = field(default=100, init=False)

    def check_arguments(self) -> None:
        """Check its own arguments too."""
        super().check_arguments()
        self.kernel_heads = check_integer("kernel_heads", self.kernel_heads, 1)

    def build_layers(self) -> None:
        """Make the blocks and the kernel heads; their mean prediction is the initial value, 5 times it the logits."""
        super().build_layers()
        self.ridge = CausalRidge(self.kernel_heads, self.n_classes)
        self.embed_ridge = nn.Linear(self.kernel_heads * (self.n_classes + 1), self.width)
        sharpness = 5.0 if self.n_classes > 1 else 1.0
        self.direct = nn.Parameter(torch.full((self.kernel_heads,), sharpness / self.kernel_heads))

    def forward(self, x: torch.Tensor, feedback: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N, K) → (B, N, K)."""
        predictions, deviations = self.ridge(x, feedback)
        logits, _ = self.advance(self.start(x.shape[0]), x, feedback, self._embed_predictions(predictions, deviations))
        return logits + torch.einsum("bnhk,h->bnk", predictions, self.direct)

    def forward_queries(self, x: torch.Tensor, feedback: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """(B, N, D), feedback (B, N + 1, K) up to that of the last example, (B, Q, D) → (B, Q, K)."""
        embedding = self._embed_predictions(*self.ridge(x, feedback[:, :-1]))
        state = self.advance(super().start(x.shape[0]), x, feedback[:, :-1], embedding)[1]
        predictions, deviations = self.ridge.forward_queries(x, feedback[:, 1:], queries)
        embedding = self._embed_predictions(predictions, deviations)
        logits = self._advance_queries(state, feedback[:, -1], queries, embedding)
        return logits + torch.einsum("bnhk,h->bnk", predictions, self.direct)

    def start(self, batch_size: int) -> KernelState:
        """Return the state before the first example."""
        state = super().start(batch_size)
        return KernelState(**vars(state), ridge=self.ridge.start(batch_size, self.n_features))

    def forward_step(
        self, state: SequenceState, x: torch.Tensor, feedback: torch.Tensor
    ) -> tuple[torch.Tensor, KernelState]:
        """(B, D), (B, K) → (B, K), and the next state."""
        assert isinstance(state, KernelState)
        predictions, deviations, ridge = self.ridge.step(state.ridge, x, feedback)
        embedding = self._embed_predictions(predictions, deviations)[:, None]
        logits, after = self.advance(state, x[:, None], feedback[:, None], embedding)
        logits = logits[:, 0] + torch.einsum("bhk,h->bk", predictions, self.direct)
        return logits, KernelState(**vars(after), ridge=ridge)

    def act_and_value(self, *of: Any) -> NoReturn:
        """Refuse: nothing that a policy is shown is what kernel ridge regression could be fitted to."""
        raise ValueError(
            f"{self.name} predicts labels from labels, and actions and rewards are none: as a policy, take a learner "
            "without kernels, such as transformer."
        )

    def state_size(self, n_examples: int) -> int:
        """As in the Transformer, and the state of the kernel heads."""
        return super().state_size(n_examples) + self.ridge.state_size(n_examples, self.n_features)

    def _embed_predictions(self, predictions: torch.Tensor, deviations: torch.Tensor) -> torch.Tensor:
        """(…, H, K), (…, H) → (…, width)."""
        return self.embed_ridge(torch.cat([predictions, deviations[..., None]], -1).flatten(-2))
