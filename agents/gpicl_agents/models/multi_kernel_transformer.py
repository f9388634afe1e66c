"""The Transformer with kernel ridge regressions of several families, weighted by how well they have predicted so far.

`causal_ridge.py` has kernels of directions and norms. Two more families fit what people put into tables, with
d² = ‖x_i − x_j‖² / D and d₁ = ‖x_i − x_j‖₁ / D:

| family | kernel | fits |
|---|---|---|
| polar | exp(γ (cos(x_i, x_j) − 1) − β (log ‖x_i‖ − log ‖x_j‖)²) | images |
| Gaussian | exp(−γ d²) | few features: smooth boundaries anywhere |
| Laplace | exp(−γ d₁) | features that mean something each: the limit of averaged trees with random splits |

The last is the Mondrian kernel (Balog et al. 2016, arXiv:1606.05241).

After n examples, head h has the summed squared error e_h of its past predictions, each made before its label was seen
(prequential). The heads' predictions are mixed with weights softmax(a_h − η e_h), the posterior over experts of
Bayesian model averaging with learned prior a and rate η; the Transformer reads them all, and corrects the mixture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.functional import pad

from gpicl_agents.models.causal_ridge import CausalRidge
from gpicl_agents.models.kernel_transformer import KernelState, KernelTransformer
from gpicl_agents.models.sequence_state import SequenceState
from gpicl_envs.errors import check_choice

FAMILIES = "polar", "gaussian", "laplace"


def names_in(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return names as a tuple; one alone may be a text, as in `multi-kernel-transformer,kernel_families=polar`."""
    return (given,) if isinstance(given, str) else tuple(given)


@dataclass(kw_only=True)
class MultiKernelState(KernelState):
    """The state of the kernel Transformer, and (B, H) the summed squared errors of its heads."""

    error: torch.Tensor


class MultiKernelTransformer(KernelTransformer):
    """The Transformer, reading and correcting an evidence-weighted mixture of kernel ridge regressions.

    Args:
        kernel_heads: heads of each family of kernels.
        kernel_families: some of `"polar"`, `"gaussian"` and `"laplace"` (see the module).
    """

    name = "transformer+kernels"

    kernel_families: tuple[str, ...] = FAMILIES

    def check_arguments(self) -> None:
        """Check its own arguments too."""
        super().check_arguments()
        families = names_in(self.kernel_families)
        self.kernel_families = tuple(check_choice("kernel_families", name, FAMILIES) for name in families)
        if not self.kernel_families:
            raise ValueError(f"kernel_families=() leaves no kernel: give some of {', '.join(FAMILIES)}.")

    def build_layers(self) -> None:
        """Make the Transformer's blocks, the kernel heads, and the weights of their mixture."""
        super(KernelTransformer, self).build_layers()
        self.ridge = CausalRidge(self.kernel_heads, self.n_classes, self.kernel_families)
        h = self.n_predictors
        self.embed_ridge = nn.Linear(h * (self.n_classes + 3), self.width)
        self.direct = nn.Parameter(torch.full((h,), 5.0 if self.n_classes > 1 else 1.0))
        self.log_prior, self.log_rate = nn.Parameter(torch.zeros(h)), nn.Parameter(torch.zeros(h))

    @property
    def n_predictors(self) -> int:
        """How many predictions are mixed."""
        return self.ridge.n_heads

    def predict_all(self, x: torch.Tensor, feedback: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N, D), (B, N, K) → predictions (B, N, H, K) at all positions, and their standard deviations (B, N, H)."""
        return self.ridge(x, feedback)

    def forward(self, x: torch.Tensor, feedback: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N, K) → (B, N, K)."""
        mixture, embedding, _ = self._mix_all(x, feedback)
        return self.advance(super(KernelTransformer, self).start(x.shape[0]), x, feedback, embedding)[0] + mixture

    def forward_queries(self, x: torch.Tensor, feedback: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """(B, N, D), feedback (B, N + 1, K) up to that of the last example, (B, Q, D) → (B, Q, K)."""
        _, embedding, error = self._mix_all(x, feedback[:, :-1], feedback[:, -1])
        state = self.advance(super(KernelTransformer, self).start(x.shape[0]), x, feedback[:, :-1], embedding)[1]
        predictions, deviations = self.ridge.forward_queries(x, feedback[:, 1:], queries)
        mixture, embedding = self._mix(predictions, deviations, error[:, None].expand_as(deviations), x.shape[1])
        return self._advance_queries(state, feedback[:, -1], queries, embedding) + mixture

    def start(self, batch_size: int) -> MultiKernelState:
        """Return the state before the first example."""
        return MultiKernelState(
            **vars(super().start(batch_size)), error=self.log_rate.new_zeros(batch_size, self.n_predictors)
        )

    def forward_step(
        self, state: SequenceState, x: torch.Tensor, feedback: torch.Tensor
    ) -> tuple[torch.Tensor, MultiKernelState]:
        """(B, D), (B, K) → (B, K), and the next state."""
        assert isinstance(state, MultiKernelState)
        error = state.error
        if state.n:
            error = error + self._errors(self.last_predictions(state)[:, None], feedback[:, None])[:, 0]
        predictions, deviations, parts = self.predict_next(state, x, feedback)
        mixture, embedding = self._mix(predictions, deviations, error, state.n)
        logits, after = self.advance(state, x[:, None], feedback[:, None], embedding[:, None])
        return logits[:, 0] + mixture, type(state)(**vars(after), error=error, **parts)

    def predict_next(
        self, state: Any, x: torch.Tensor, feedback: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        """(B, D), (B, K) → predictions (B, H, K), standard deviations (B, H), and parts of the next state by name."""
        predictions, deviations, ridge = self.ridge.step(state.ridge, x, feedback)
        return predictions, deviations, {"ridge": ridge}

    def last_predictions(self, state: Any) -> torch.Tensor:
        """Return the predictions (B, H, K) for the last example."""
        return state.ridge.prediction

    def state_size(self, n_examples: int) -> int:
        """As with one family, and the errors."""
        return super().state_size(n_examples) + self.n_predictors

    def _mix_all(
        self, x: torch.Tensor, feedback: torch.Tensor, last: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """At all positions, logits and embeddings; after them, errors (B, H), with the last feedback if known."""
        predictions, deviations = self.predict_all(x, feedback)
        after = feedback[:, 1:] if last is None else torch.cat([feedback[:, 1:], last[:, None]], 1)
        error = pad(self._errors(predictions[:, : after.shape[1]], after), (0, 0, 1, 0)).cumsum(1)
        count = torch.arange(x.shape[1], device=x.device)[:, None]
        return *self._mix(predictions, deviations, error[:, : x.shape[1]], count), error[:, -1]

    def _errors(self, predictions: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Predictions (B, T, H, K) and what their labels were (B, T, K) → squared errors (B, T, H)."""
        centred = labels.to(predictions) - self.ridge.centre
        return (predictions - centred[:, :, None]).square().sum(3)

    def _mix(
        self, predictions: torch.Tensor, deviations: torch.Tensor, error: torch.Tensor, count: torch.Tensor | int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Predictions (…, H, K), deviations, errors (…, H) of `count` examples → logits (…, K), embedding."""
        weight = (self.log_prior - self.log_rate.exp() * error).softmax(-1)
        mixture = torch.einsum("...hk,...h->...k", predictions, weight * self.direct)
        facts = torch.stack([deviations, error / (count + 1), weight], -1)
        return mixture, self.embed_ridge(torch.cat([predictions, facts], -1).flatten(-2))
