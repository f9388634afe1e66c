"""VSML, variable shared meta-learning (Kirsch & Schmidhuber 2021, arXiv:2012.14905): tiny LSTMs that share weights.

A grid of LSTMs, one for each pair of input i and class j, stands where a linear layer has its weights. All have the
same parameters, which can hold a learning rule but no solution: what is learned in an episode is in the states
s_ij = (h_ij, c_ij). At each example, with mean messages forward over the inputs and backward over the classes,

    f_j = mean_i W_f h_ij,   b_i = mean_j W_b h_ij,   s_ij ← LSTM([x_i, x'_i, y'_j, p'_j, f_j, b_i], s_ij),

with (x', y') the previous example and p' its predicted probabilities; then logit_j = a · mean_i x_i (w · h_ij) +
u · f_j. A permutation of the classes permutes the logits, by construction. The paper's grid has several layers and
ticks; here there is one layer and one tick per example, on p projected inputs. With K = 1 (regression) y', p' and the
logit are values in units of `value_scale`, and inputs are neither centred nor of unit norm.

State: p · K · 2 · size + p + K and the sum of the inputs, however many examples; values need no sum.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import linear, normalize, pad

from gpicl_agents.models.base import check_value_scale
from gpicl_agents.models.lstm import MEMORY_LENGTH, init_memory_length
from gpicl_agents.models.sequence_state import Count
from gpicl_envs.errors import check_integer
from gpicl_envs.learners.base import Learner, encoded

DEFAULT_RANK = 32


@dataclass
class GridState:
    """The state of the grid after n examples of B episodes.

    Args:
        h: (B, p, K, size).
        c: (B, p, K, size).
        total: (B, D) sum of the inputs; (B, 0) for values.
        previous: (B, p) the last projected input.
        predicted: (B, K) the last predicted probabilities, or value.
        n: examples seen; a tensor in an exported graph.
    """

    h: torch.Tensor
    c: torch.Tensor
    total: torch.Tensor
    previous: torch.Tensor
    predicted: torch.Tensor
    n: Count = 0


class VSML(Learner, nn.Module):
    """A grid of p × K LSTMs with shared parameters.

    Args:
        size: of h and c of one LSTM.
        message_size: of the forward and backward messages.
        input_rank: p, inputs of the grid, a random orthogonal projection of x; min(32, D) by default.
        value_scale: size of the real values with n_classes=1, as in `SequenceAgent`.
        seed: seed of the initial weights.
    """

    name = "vsml"
    predicts_values = True

    def __init__(
        self,
        n_features: int = 784,
        n_classes: int = 10,
        *,
        size: int = 16,
        message_size: int = 8,
        input_rank: int | None = None,
        value_scale: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__(n_features, n_classes)
        self.size = check_integer("size", size, 1)
        self.message_size = check_integer("message_size", message_size, 1)
        rank = min(DEFAULT_RANK, n_features) if input_rank is None else input_rank
        self.input_rank = check_integer("input_rank", rank, 1, n_features)
        self.value_scale = check_value_scale(value_scale, self.n_classes)
        self.seed = check_integer("seed", seed, 0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.shared = nn.Linear(n_features, self.input_rank, bias=False)
            nn.init.orthogonal_(self.shared.weight)
            self.shared.weight.requires_grad_(False)
            self.cell = nn.LSTMCell(4 + 2 * message_size, size)
            init_memory_length(MEMORY_LENGTH, self.cell)
            self.forward_message = nn.Linear(size, message_size, bias=False)
            self.backward_message = nn.Linear(size, message_size, bias=False)
            self.weight = nn.Linear(size, 1, bias=False)
            self.scale = nn.Parameter(torch.zeros(()))
            self.read_message = nn.Parameter(torch.zeros(message_size))

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K), one example at a time."""
        x = x.to(self.shared.weight.dtype)
        feedback = pad(encoded(y, self.n_classes).to(x.dtype)[:, :-1] / self.value_scale, (0, 0, 1, 0))
        count = torch.arange(2, x.shape[1] + 2, device=x.device)[:, None]
        inputs = self._project(x - x.cumsum(1) / count if self.n_classes > 1 else x)
        state, rows = self.start(x.shape[0]), []
        for n in range(x.shape[1]):
            logits, state = self._tick(state, inputs[:, n], feedback[:, n])
            rows.append(logits)
        return torch.stack(rows, 1) * self.value_scale

    def start(self, batch_size: int) -> GridState:
        """Return zeros."""
        zeros = self.shared.weight.new_zeros
        grid = zeros(batch_size, self.input_rank, self.n_classes, self.size)
        previous, predicted = zeros(batch_size, self.input_rank), zeros(batch_size, self.n_classes)
        total = zeros(batch_size, self.n_features if self.n_classes > 1 else 0)
        return GridState(grid, grid, total, previous, predicted)

    def step(self, state: GridState, x: torch.Tensor, y_previous: torch.Tensor) -> tuple[torch.Tensor, GridState]:
        """(B, D), (B, K) → (B, K)."""
        x = x.to(self.shared.weight.dtype)
        total = state.total
        if self.n_classes > 1:
            total = total + x
            x = x - total / (state.n + 2)
        logits, after = self._tick(state, self._project(x), y_previous.to(x.dtype) / self.value_scale)
        after.total = total
        return logits * self.value_scale, after

    def state_size(self, n_examples: int) -> int:
        """The grid, the last input and prediction, and, with labels, the sum of the inputs."""
        grid = 2 * self.input_rank * self.n_classes * self.size
        total = self.n_features if self.n_classes > 1 else 0
        return grid + self.input_rank + self.n_classes + total

    def _project(self, centred: torch.Tensor) -> torch.Tensor:
        """(…, D) → (…, p), of norm √p unless K = 1."""
        if self.n_classes == 1:
            return linear(centred, self.shared.weight)
        return normalize(linear(normalize(centred, dim=-1), self.shared.weight), dim=-1) * math.sqrt(self.input_rank)

    def _tick(self, state: GridState, inputs: torch.Tensor, feedback: torch.Tensor) -> tuple[torch.Tensor, GridState]:
        """(B, p), (B, K) → (B, K): every LSTM of the grid takes one step."""
        b, p, k = inputs.shape[0], self.input_rank, self.n_classes
        forward = self.forward_message(state.h.mean(1))[:, None].expand(-1, p, -1, -1)
        backward = self.backward_message(state.h.mean(2))[:, :, None].expand(-1, -1, k, -1)
        of_input = torch.stack([inputs, state.previous], 2)[:, :, None].expand(-1, -1, k, -1)
        of_class = torch.stack([feedback, state.predicted], 2)[:, None].expand(-1, p, -1, -1)
        inputs_of_cells = torch.cat([of_input, of_class, forward, backward], 3).flatten(0, 2)
        h, c = self.cell(inputs_of_cells, (state.h.flatten(0, 2), state.c.flatten(0, 2)))
        h, c = h.view(b, p, k, -1), c.view(b, p, k, -1)
        message = self.forward_message(h.mean(1)) @ self.read_message
        logits = self.scale * (inputs[..., None] * self.weight(h)[..., 0]).mean(1) + message
        predicted = logits.softmax(1) if k > 1 else logits
        return logits, GridState(h, c, state.total, inputs, predicted, state.n + 1)
