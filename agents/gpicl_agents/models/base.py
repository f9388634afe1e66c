"""What all sequence models here share: examples in, tokens, a memory of one's own, class logits out.

Token n of an episode stands where y_n is predicted. With E_x, E_p and E_y the embeddings of inputs and labels:

| tokens | what token n is | in-context learning needs |
|---|---|---|
| `"paired"` | E_x x_n + E_p x_{n−1} + E_y y_{n−1} | one step of memory: example and label are one token |
| `"paper"` | E_x x_n + E_y y_{n−1} | to join x_{n−1}, seen one token before, to its label first: a long loss plateau |

Inputs are centred by a causal running mean, scaled to unit norm, and pass a frozen random orthogonal projection to p
features. That narrow projection is what removes the plateau, and it costs accuracy: similarities seen through p of D
directions are noisy. But tasks are Gaussian projections, whose distribution no rotation changes, so what was learned
through one orthonormal p × D projection holds for every other. Hence *views*: train through one, and predict with the
mean of the predictions through V mutually orthogonal ones.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.functional import linear, normalize, one_hot, pad

from gpicl_envs.errors import check_choice, check_integer
from gpicl_envs.learners.base import Learner

TOKENS = ("paired", "paper")
DEFAULT_RANK = 64


@dataclass
class SequenceState:
    """What a sequence model remembers of B episodes after n examples.

    Args:
        total: (B, D) sum of the inputs.
        previous: (B·V, 1, p) the last projected input, in each view.
        memory: the model's own, of B·V rows.
        n: examples seen.
    """

    total: torch.Tensor
    previous: torch.Tensor
    memory: Any
    n: int = 0


class SequenceAgent(Learner, nn.Module):
    """A sequence model over the examples of an episode; a subclass gives the memory between tokens and read-out.

    A subclass stores its own arguments, ends its constructor with `self._make()`, and gives `build_memory`, `remember`
    (all positions at once), `start_memory`, `remember_step` (one position; must equal `remember`) and `memory_size`.

    Args:
        n_features: D.
        n_classes: K.
        tokens: `"paired"` or `"paper"` (see the module).
        width: size of a token.
        input_rank: p, features after the shared projection, min(64, D) by default; 0 leaves it out (E_x acts on all D
            features).
        n_projections: V, projections to p features through which `eval()` mode predicts, with V·p ≤ D; training uses
            one.
        seed: seed of the initial weights.
    """

    token_forms: tuple[str, ...] = TOKENS

    def __init__(
        self,
        n_features: int = 784,
        n_classes: int = 10,
        *,
        tokens: str = "paired",
        width: int = 128,
        input_rank: int | None = None,
        n_projections: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__(n_features, n_classes)
        self.tokens = check_choice("tokens", tokens, self.token_forms)
        self.width = check_integer("width", width, 1)
        rank = min(DEFAULT_RANK, n_features) if input_rank is None else input_rank
        self.input_rank = check_integer("input_rank", rank, 0, n_features)
        most_projections = n_features // self.input_rank if self.input_rank else 1
        self.n_projections = check_integer(
            "n_projections", n_projections, 1, most_projections, "n_features // input_rank, or 1 without a projection"
        )
        self.seed = check_integer("seed", seed, 0)

    # -- What a subclass gives ----------------------------------------------------------------------------------------

    def build_memory(self) -> None:
        """Make the modules of the memory; random numbers come from the seed."""
        raise NotImplementedError

    def remember(self, tokens: torch.Tensor, units: torch.Tensor) -> torch.Tensor:
        """Tokens (B·V, N, width), unit inputs (B, N, D) → (B·V, N, width) for the read-out; causal."""
        raise NotImplementedError

    def start_memory(self, rows: int) -> Any:
        """Return the memory of B·V sequences that have seen nothing."""
        raise NotImplementedError

    def remember_step(self, memory: Any, token: torch.Tensor, unit: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """One token (B·V, 1, width), unit input (B, 1, D) → (B·V, 1, width), and the next memory."""
        raise NotImplementedError

    def memory_size(self, n_examples: int) -> int:
        """Return the numbers in one row of the memory after `n_examples`."""
        raise NotImplementedError

    # -- The Learner protocol -----------------------------------------------------------------------------------------

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K)."""
        labels = one_hot(y, self.n_classes).to(x.dtype)
        return self(x, pad(labels[:, :-1], (0, 0, 1, 0)))

    def forward(self, x: torch.Tensor, feedback: torch.Tensor, hint: torch.Tensor | None = None) -> torch.Tensor:
        """Return the logits of all positions, from feedback of either kind.

        Args:
            x: (B, N, D) inputs.
            feedback: (B, N, K) feedback before each: a one-hot label, or, from a bandit, ± the one-hot action.
            hint: (B, N, width) what a subclass adds to the tokens.

        Returns:
            (B, N, K) logits.
        """
        count = torch.arange(2, x.shape[1] + 2, device=x.device)[:, None]
        units = normalize(x - x.cumsum(1) / count, dim=2)
        h = self._project(units)
        tokens = self.embed(h, pad(h[:, :-1], (0, 0, 1, 0)), self._in_views(feedback), 0)
        if hint is not None:
            tokens = tokens + self._in_views(hint)
        return self._read(self.remember(tokens, units))

    def start(self, batch_size: int) -> SequenceState:
        """Nothing seen yet."""
        rows, like = batch_size * self._views, self.read_out.weight
        return SequenceState(
            total=like.new_zeros(batch_size, self.n_features),
            previous=like.new_zeros(rows, 1, self.input_rank or self.n_features),
            memory=self.start_memory(rows),
        )

    def step(
        self, state: SequenceState, x: torch.Tensor, y_previous: torch.Tensor
    ) -> tuple[torch.Tensor, SequenceState]:
        """(B, D), (B, K) → (B, K), and the next state."""
        return self.forward_step(state, x, y_previous)

    def forward_step(
        self, state: SequenceState, x: torch.Tensor, feedback: torch.Tensor, hint: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, SequenceState]:
        """One position of `forward`: (B, D), (B, K), and (B, 1, width) or None → (B, K), and the next state."""
        total = state.total + x
        unit = normalize(x - total / (state.n + 2), dim=1)[:, None]
        h = self._project(unit)
        token = self.embed(h, state.previous, self._in_views(feedback[:, None].to(x.dtype)), state.n)
        if hint is not None:
            token = token + self._in_views(hint)
        hidden, memory = self.remember_step(state.memory, token, unit)
        return self._read(hidden)[:, 0], SequenceState(total, h, memory, state.n + 1)

    def state_size(self, n_examples: int) -> int:
        """The memory and the last input of each view, and the sum of the inputs."""
        last = 0 if self.tokens == "paper" else self.input_rank or self.n_features
        return self._views * (self.memory_size(n_examples) + last) + self.n_features

    # -- Tokens and read-out ------------------------------------------------------------------------------------------

    def _make(self) -> None:
        """Make all modules from the seed; the global random stream is left alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            rank = self.input_rank or self.n_features
            if self.input_rank:
                self.shared = nn.Linear(self.n_features, self.n_projections * rank, bias=False)  # view by view
                nn.init.orthogonal_(self.shared.weight)
                self.shared.weight.requires_grad_(False)
            self.embed_input = nn.Linear(rank, self.width, bias=False)
            self.embed_label = nn.Linear(self.n_classes, self.width, bias=False)
            nn.init.normal_(self.embed_input.weight, std=rank**-0.5)
            nn.init.normal_(self.embed_label.weight, std=1.0)
            if self.tokens != "paper":
                self.embed_previous = nn.Linear(rank, self.width, bias=False)
                nn.init.normal_(self.embed_previous.weight, std=rank**-0.5)
                self.first = nn.Parameter(torch.randn(self.width))  # stands for the example before the first
            self.build_memory()
            self.norm = nn.LayerNorm(self.width)
            self.read_out = nn.Linear(self.width, self.n_classes)
            nn.init.zeros_(self.read_out.weight)
            nn.init.zeros_(self.read_out.bias)

    def embed(self, h: torch.Tensor, previous: torch.Tensor, feedback: torch.Tensor, n: int) -> torch.Tensor:
        """Tokens n, n+1, … (B·V, T, width), from inputs and those before (B·V, T, p) and labels (B·V, T, K)."""
        return self.embed_input(h) + self.embed_before(previous, feedback, n)

    def embed_before(self, previous: torch.Tensor, feedback: torch.Tensor, n: int) -> torch.Tensor:
        """The part of the tokens that tells of the example before."""
        before = self.embed_label(feedback)
        if self.tokens == "paper":
            return before
        before = before + self.embed_previous(previous)
        return before if n else before + pad(self.first[None, None], (0, 0, 0, feedback.shape[1] - 1))

    @property
    def _views(self) -> int:
        return 1 if self.training else self.n_projections

    def _in_views(self, values: torch.Tensor) -> torch.Tensor:
        """(B, …) → (B·V, …), the same in each view."""
        return values.repeat_interleave(self._views, dim=0) if self._views > 1 else values

    def _project(self, units: torch.Tensor) -> torch.Tensor:
        """(B, N, D) unit inputs → (B·V, N, p) of norm √p."""
        b, n, _ = units.shape
        if self.input_rank:
            weight = self.shared.weight[: self._views * self.input_rank]
            units = linear(units, weight).view(b, n, self._views, self.input_rank).transpose(1, 2).flatten(0, 1)
        return normalize(units, dim=2) * math.sqrt(units.shape[2])

    def _read(self, hidden: torch.Tensor) -> torch.Tensor:
        """(B·V, T, width) → (B, T, K): the log of the mean probability over the views."""
        logits = self.read_out(self.norm(hidden))
        if self._views == 1:
            return logits
        return logits.log_softmax(2).unflatten(0, (-1, self._views)).logsumexp(1) - math.log(self._views)
