"""What all sequence models share: examples in, tokens, the layers of each model, class logits out.

Token n of an episode is where y_n is predicted. E_x, E_p and E_y embed inputs, previous inputs and labels:

| tokens | token n | what the model has to learn first |
|---|---|---|
| `"paired"` | E_x x_n + E_p x_{n−1} + E_y y_{n−1} | nothing: an example and its label share one token |
| `"paper"` | E_x x_n + E_y y_{n−1} | to join x_{n−1}, one token back, to its label: a long loss plateau |

Inputs are centred by a causal running mean, scaled to unit norm, and projected to `input_rank` features by a frozen
random orthogonal matrix. This narrow projection removes the plateau but costs accuracy, since similarities are noisy
when seen through few of the D directions. Tasks are Gaussian projections, whose distribution no rotation changes, so
what was learned through one orthonormal projection holds for every other. Hence the *projection ensemble*: train
through one, and predict with the mean probability of P mutually orthogonal ones.

With K = 1 (regression) the value of the previous example takes the place of its label, and the single output is the
predicted value, both in units of `value_scale`. Inputs are projected as they are, neither centred nor of unit norm: a
function of x depends on both.
"""

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, dataclass_transform

import torch
from torch import nn
from torch.nn.functional import linear, normalize, pad

from gpicl_agents.models.player import SequencePlayer
from gpicl_agents.models.sequence_state import Count, SequenceState, count_numbers
from gpicl_envs.errors import check_bool, check_choice, check_integer, check_positive
from gpicl_envs.learners.base import Learner, encoded

TOKENS = ("paired", "paper")
DEFAULT_RANK = 64


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))  # for type checkers
@dataclass(kw_only=True, eq=False, repr=False)
class SequenceAgent(Learner, nn.Module):
    """A sequence model over the examples of an episode; a subclass provides the layers between tokens and read-out.

    The annotated attributes of a class are the arguments of its constructor, as in a dataclass: a subclass inherits
    them, adds its own, and may change a default. It overrides `check_arguments`, `build_layers`, `start_memory` and
    `run`, and `memory_size` if its memory grows.

    Args:
        n_features: D.
        n_classes: K; 1 for real values (regression).
        tokens: `"paired"` or `"paper"` (see `models/base.py`).
        width: size of a token.
        input_rank: features after the shared projection, min(64, D) by default; 0 leaves the projection out.
        n_projections: P, projections in the ensemble that predicts in `eval()` mode, with P · input_rank ≤ D; training
            uses one.
        normalize_inputs: whether inputs are centred and scaled to unit norm; never with n_classes=1. Observations of
            control problems are taken as they are, since what they mean depends on both.
        value_head: whether it also predicts the return, as a critic (`gpicl train-rl`).
        continuous_actions: whether outputs are the mean of an action of K numbers, not logits (see `models/policy.py`).
        value_scale: size of the real values with n_classes=1, by which what the layers read and predict is divided;
            `gpicl train` takes the standard deviation that the environment knows. 1 for labels.
        seed: seed of the initial weights.
    """

    predicts_values = True

    token_forms: ClassVar[tuple[str, ...]] = TOKENS

    n_features: int = field(default=784, kw_only=False)
    n_classes: int = field(default=10, kw_only=False)
    tokens: str = "paired"
    width: int = 128
    input_rank: int | None = None
    n_projections: int = 1
    normalize_inputs: bool = True
    value_head: bool = False
    continuous_actions: bool = False
    value_scale: float = 1.0
    seed: int = 0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclass(kw_only=True, eq=False, repr=False)(cls)

    def __post_init__(self) -> None:
        super().__init__(self.n_features, self.n_classes)
        self.check_arguments()
        with torch.random.fork_rng(devices=[]):  # leaves the global random stream alone
            torch.manual_seed(self.seed)
            self._build_embeddings()
            self.build_layers()
            self.norm = nn.LayerNorm(self.width)
            self.read_out = nn.Linear(self.width, self.n_classes)
            nn.init.zeros_(self.read_out.weight)
            nn.init.zeros_(self.read_out.bias)
            if self.value_head:
                self.read_value = nn.Linear(self.width, 1)
            self.log_std = nn.Parameter(torch.zeros(self.n_classes)) if self.continuous_actions else None

    def check_arguments(self) -> None:
        """Check the arguments, and compute those whose default depends on others."""
        check_choice("tokens", self.tokens, self.token_forms)
        self.width = check_integer("width", self.width, 1)
        rank = min(DEFAULT_RANK, self.n_features) if self.input_rank is None else self.input_rank
        self.input_rank = check_integer("input_rank", rank, 0, self.n_features)
        most_projections = self.n_features // self.input_rank if self.input_rank else 1
        why = "n_features // input_rank, or 1 without a projection"
        self.n_projections = check_integer("n_projections", self.n_projections, 1, most_projections, why)
        for name in ("normalize_inputs", "value_head", "continuous_actions"):
            setattr(self, name, check_bool(name, getattr(self, name)))
        self.value_scale = check_value_scale(self.value_scale, self.n_classes)
        self.seed = check_integer("seed", self.seed, 0)

    def build_layers(self) -> None:
        """Make the modules between tokens and read-out; random numbers come from the seed."""
        raise NotImplementedError

    def start_memory(self, batch: int) -> Any:
        """Return the memory of `batch` = B·P sequences before their first token."""
        raise NotImplementedError

    def run(self, tokens: torch.Tensor, memory: Any, directions: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """Run the layers on the next T tokens: on all of an episode in `predict`, on one in `step`.

        Args:
            tokens: (B·P, T, width).
            memory: of the tokens before.
            directions: (B, T, D) the inputs at unit norm, centred unless K = 1.

        Returns:
            (B·P, T, width) for the read-out, and the memory after these tokens.
        """
        raise NotImplementedError

    def memory_size(self, n_examples: int) -> int:
        """Return how many numbers the memory of one sequence holds after `n_examples`; by default it does not grow."""
        return count_numbers(self.start_memory(1))

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K)."""
        labels = encoded(y, self.n_classes).to(x.dtype) / self.value_scale
        return self(x, pad(labels[:, :-1], (0, 0, 1, 0))) * self.value_scale

    def forward(self, x: torch.Tensor, feedback: torch.Tensor) -> torch.Tensor:
        """Return the logits at all positions, from any kind of feedback.

        Args:
            x: (B, N, D) inputs.
            feedback: (B, N, K) feedback on the previous example: its one-hot label, ± the one-hot action (bandit), or
                its value in units of `value_scale`, as are the predictions then.

        Returns:
            (B, N, K) logits.
        """
        return self.advance(self.start(x.shape[0]), x, feedback)[0]

    def start(self, batch_size: int) -> SequenceState:
        """Return the state before the first example."""
        batch, zeros = batch_size * self._active_projections, self.read_out.weight.new_zeros
        return SequenceState(
            total=zeros(batch_size, self.n_features if self._normalizes else 0),
            previous=zeros(batch, 1, self.input_rank or self.n_features),
            memory=self.start_memory(batch),
        )

    def step(
        self, state: SequenceState, x: torch.Tensor, y_previous: torch.Tensor
    ) -> tuple[torch.Tensor, SequenceState]:
        """(B, D), (B, K) → (B, K), and the next state."""
        logits, after = self.forward_step(state, x, y_previous / self.value_scale)
        return logits * self.value_scale, after

    def forward_step(
        self, state: SequenceState, x: torch.Tensor, feedback: torch.Tensor
    ) -> tuple[torch.Tensor, SequenceState]:
        """One position of `forward`: (B, D), (B, K) → (B, K), and the next state."""
        logits, after = self.advance(state, x[:, None], feedback[:, None])
        return logits[:, 0], after

    def advance(
        self, state: SequenceState, x: torch.Tensor, feedback: torch.Tensor, extra_embedding: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, SequenceState]:
        """Return the logits (B, T, K) of the next T examples, and the state after them.

        Args:
            state: of the examples before.
            x: (B, T, D) inputs.
            feedback: (B, T, K) as in `forward`.
            extra_embedding: (B, T, width) added to the tokens.
        """
        hidden, after = self._advance_hidden(state, x, feedback, extra_embedding)
        return self._read(hidden), after

    def act_and_value(
        self, state: SequenceState, x: torch.Tensor, feedback: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, SequenceState]:
        """Return the outputs (B, T, K) for the next T actions, the values (B, T) of their states, and the state after.

        The value is the return that the critic expects; 0 without `value_head`.
        """
        hidden, after = self._advance_hidden(state, x, feedback, None)
        if not self.value_head:
            return (logits := self._read(hidden)), logits.new_zeros(logits.shape[:2]), after
        value = self.read_value(self.norm(hidden))[..., 0]
        return self._read(hidden), value.unflatten(0, (len(x), -1)).mean(1), after

    def as_player(self, made: Any = None, greedy: bool = False) -> SequencePlayer:
        """Return the player whose policy this is, of a distribution `made` of RL problems or a vector environment."""
        return SequencePlayer(self, greedy, getattr(made, "single_action_space", None))

    def _advance_hidden(
        self, state: SequenceState, x: torch.Tensor, feedback: torch.Tensor, extra_embedding: torch.Tensor | None
    ) -> tuple[torch.Tensor, SequenceState]:
        """(B·P, T, width) for the read-out, and the state after."""
        x = x.to(self.read_out.weight.dtype)  # not float32 if the model was made or moved to another precision
        n, end, total = state.n, state.n + x.shape[1], state.total
        if self._normalizes:
            totals = total[:, None] + x.cumsum(1)
            counts = n + torch.arange(2, x.shape[1] + 2, device=x.device)
            x, total = x - totals / counts[:, None], totals[:, -1]
        directions = normalize(x, dim=2)
        h = self._project(directions if self._normalizes else x)
        previous = torch.cat([state.previous, h[:, :-1]], 1)
        tokens = self.embed(h, previous, self._for_each_projection(feedback.to(x.dtype)), n)
        if extra_embedding is not None:
            tokens = tokens + self._for_each_projection(extra_embedding)
        hidden, memory = self.run(tokens, state.memory, directions)
        return hidden, SequenceState(total, h[:, -1:], memory, end)

    def state_size(self, n_examples: int) -> int:
        """The memory and the last input of each projection, and, with labels, the sum of the inputs."""
        last = 0 if self.tokens == "paper" else self.input_rank or self.n_features
        total = self.n_features if self._normalizes else 0
        return self._active_projections * (self.memory_size(n_examples) + last) + total

    def _build_embeddings(self) -> None:
        rank = self.input_rank or self.n_features
        if self.input_rank:
            self.shared = nn.Linear(self.n_features, self.n_projections * rank, bias=False)  # stacked
            nn.init.orthogonal_(self.shared.weight)
            self.shared.weight.requires_grad_(False)
        self.embed_input = nn.Linear(rank, self.width, bias=False)
        self.embed_label = nn.Linear(self.n_classes, self.width, bias=False)
        nn.init.normal_(self.embed_input.weight, std=rank**-0.5)
        nn.init.normal_(self.embed_label.weight, std=1.0)
        if self.tokens != "paper":
            self.embed_previous = nn.Linear(rank, self.width, bias=False)
            nn.init.normal_(self.embed_previous.weight, std=rank**-0.5)
            self.first = nn.Parameter(torch.randn(self.width))  # in place of an example before the first

    def embed(self, h: torch.Tensor, previous: torch.Tensor, feedback: torch.Tensor, n: Count) -> torch.Tensor:
        """Inputs and previous inputs (B·P, T, rank), feedback (B·P, T, K) → tokens (B·P, T, width) from the n-th on."""
        return self.embed_input(h) + self.embed_previous_example(previous, feedback, n)

    def embed_previous_example(self, previous: torch.Tensor, feedback: torch.Tensor, n: Count) -> torch.Tensor:
        """The previous example's part of the tokens: its input, unless `tokens="paper"`, and the feedback on it."""
        embedded = self.embed_label(feedback)
        if self.tokens == "paper":
            return embedded
        embedded = embedded + self.embed_previous(previous)
        if isinstance(n, int) and n:
            return embedded
        first = pad(self.first[None, None], (0, 0, 0, feedback.shape[1] - 1))
        return embedded + (first if isinstance(n, int) else first * (n == 0))

    @property
    def _normalizes(self) -> bool:
        return self.normalize_inputs and self.n_classes > 1

    @property
    def _active_projections(self) -> int:
        return 1 if self.training else self.n_projections

    def _for_each_projection(self, values: torch.Tensor) -> torch.Tensor:
        """(B, …) → (B·P, …), repeated."""
        return values.repeat_interleave(self._active_projections, dim=0) if self._active_projections > 1 else values

    def _project(self, inputs: torch.Tensor) -> torch.Tensor:
        """(B, N, D) → (B·P, N, rank), of norm √rank unless K = 1."""
        b, n, _ = inputs.shape
        if self.input_rank:
            p = self._active_projections
            projected = linear(inputs, self.shared.weight[: p * self.input_rank])
            inputs = projected.view(b, n, p, self.input_rank).transpose(1, 2).flatten(0, 1)
        return normalize(inputs, dim=2) * math.sqrt(inputs.shape[2]) if self._normalizes else inputs

    def _read(self, hidden: torch.Tensor) -> torch.Tensor:
        """(B·P, T, width) → (B, T, K): the log of the mean probability over the projections, or the mean value."""
        logits, p = self.read_out(self.norm(hidden)), self._active_projections
        if p == 1:
            return logits
        if self.n_classes == 1:
            return logits.unflatten(0, (-1, p)).mean(1)
        return logits.log_softmax(2).unflatten(0, (-1, p)).logsumexp(1) - math.log(p)


def check_value_scale(value_scale: float, n_classes: int) -> float:
    """Return the scale of real values: positive, and 1 for labels, which have none."""
    if n_classes > 1 and value_scale != 1:
        raise ValueError(f"value_scale={value_scale!r} is of real values, n_classes=1: leave it out for labels.")
    return check_positive("value_scale", value_scale)
