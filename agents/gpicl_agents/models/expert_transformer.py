"""The Transformer that reads other learners, its experts, beside kernel ridge regressions.

Classical learners of other families know what kernel ridge regression does not: label propagation uses inputs whose
label is not known, linear discriminant analysis the covariance within classes. Any registered learner can be an expert:
its probabilities, less 1/K, are predictions like those of a kernel head, weighted by the evidence, read and corrected.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import pad

from gpicl_agents.models.multi_kernel_transformer import MultiKernelState, MultiKernelTransformer, names_in
from gpicl_envs.errors import UnknownNameError
from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.registry import LearnerSpec, learner_targets, make_learner

OF_LABELS, OF_VALUES = ("label-propagation", "label-propagation,alpha=0.5", "lda"), ("least-squares",)


@dataclass(kw_only=True)
class ExpertState(MultiKernelState):
    """The state of the kernels' Transformer, and of its experts.

    Args:
        experts: the state of each.
        opinion: (B, E, K) what they predicted for the last example.
    """

    experts: list[Any]
    opinion: torch.Tensor


class ExpertTransformer(MultiKernelTransformer):
    """The Transformer, reading and correcting a mixture of kernel ridge regressions and other learners.

    Args:
        experts: names of learners without parameters, as `make_learner` reads them; label propagation and LDA by
            default, or least squares for real values.
    """

    name = "transformer+kernels+experts"

    kernel_families: tuple[str, ...] = ("polar", "gaussian")
    experts: tuple[str, ...] | None = None

    def check_arguments(self) -> None:
        """Check its own arguments too."""
        super().check_arguments()
        default = OF_LABELS if self.n_classes > 1 else OF_VALUES
        self.experts, known = default if self.experts is None else names_in(self.experts), learner_targets()
        if not self.experts:
            raise ValueError("experts=() leaves no expert: give at least one, or the multi-kernel-transformer.")
        for spec in self.experts:  # registered ones alone: a checkpoint must not name code to be run
            if LearnerSpec.parse(spec).target not in known:
                raise UnknownNameError("expert", spec, known)
        sizes = {"n_features": self.n_features, "n_classes": self.n_classes}
        self._experts = [make_learner(spec, **sizes) for spec in self.experts]
        if trained := [each.name for each in self._experts if each.n_parameters]:
            raise ValueError(f"experts={self.experts!r} are to have no parameters, but {trained} have: leave them out.")

    @property
    def n_predictors(self) -> int:
        """Kernel heads and experts."""
        return super().n_predictors + len(self._experts)

    def predict_all(self, x: torch.Tensor, feedback: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N, D), (B, N, K) → predictions (B, N, H + E, K), and standard deviations, 0 of experts."""
        predictions, deviations = super().predict_all(x, feedback)
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            y = pad(feedback[:, 1:, 0] if self.n_classes == 1 else feedback[:, 1:].argmax(2), (0, 1))
            opinions = [self._centred(expert.predict(x.float(), y)) for expert in self._experts]
        predictions = torch.cat([predictions, torch.stack(opinions, 2).to(predictions)], 2)
        return predictions, pad(deviations, (0, len(self._experts)))

    def predict_queries(self, x: torch.Tensor, y: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N), (B, Q, D) → (B, Q, K): experts read the examples again for each query."""
        return Learner.predict_queries(self, x, y, queries)

    def start(self, batch_size: int) -> ExpertState:
        """Return the state before the first example."""
        opinion = self.log_rate.new_zeros(batch_size, len(self._experts), self.n_classes)
        experts = [expert.start(batch_size) for expert in self._experts]
        return ExpertState(**vars(super().start(batch_size)), experts=experts, opinion=opinion)

    def predict_next(
        self, state: Any, x: torch.Tensor, feedback: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        """(B, D), (B, K) → predictions (B, H + E, K), standard deviations (B, H + E), and parts of the next state."""
        predictions, deviations, parts = super().predict_next(state, x, feedback)
        with torch.no_grad():
            stepped = [e.step(s, x.float(), feedback) for e, s in zip(self._experts, state.experts, strict=True)]
        opinion = torch.stack([self._centred(logits) for logits, _ in stepped], 1).to(predictions)
        parts |= {"experts": [expert for _, expert in stepped], "opinion": opinion}
        return torch.cat([predictions, opinion], 1), pad(deviations, (0, len(self._experts))), parts

    def last_predictions(self, state: Any) -> torch.Tensor:
        """Return the predictions (B, H + E, K) for the last example."""
        return torch.cat([super().last_predictions(state), state.opinion], 1)

    def state_size(self, n_examples: int) -> int:
        """As with kernels alone, and that of the experts."""
        return super().state_size(n_examples) + sum(expert.state_size(n_examples) for expert in self._experts)

    def _centred(self, logits: torch.Tensor) -> torch.Tensor:
        """(…, K) → probabilities less 1/K; values as they are."""
        return logits.softmax(-1) - 1 / self.n_classes if self.n_classes > 1 else logits
