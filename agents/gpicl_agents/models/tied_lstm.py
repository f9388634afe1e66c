"""LSTM with tied weights: its state grows with the number of units, its parameters do not.

The weights of n units are taken from those of an LSTM as wide as its tokens (width ≤ n), as in a hashed network (Chen
et al. 2015, arXiv:1504.04788): every weight of that small LSTM stands, with random signs, in n/width places of the
token's matrix and (n/width)² of the recurrent one, drawn once from the seed. Units i and i + width share their biases;
dimension i of the output is the signed sum of the units i, i + width, i + 2·width, … With n = width it is an LSTM.

State: 2 · n, however many examples. It is for `gpicl experiment state-size`: parameters stay, the state varies.
"""

import math

import torch
from torch import nn

from gpicl_agents.models.layers import RecurrentAgent
from gpicl_agents.models.lstm import MEMORY_LENGTH, State, remember_for
from gpicl_envs.errors import check_integer


class TiedLSTM(RecurrentAgent):
    """One LSTM layer of many units and few weights.

    Args:
        n_features: D.
        n_classes: K.
        tokens: `"paired"` or `"paper"` (see `sequence.py`).
        width: size of a token, and of the LSTM whose weights are shared.
        n_units: size of h and of c, a multiple of the width; the number of parameters is the same for any.
        memory_length: T, examples for which the slowest unit begins to remember; the others 1 to T.
        input_rank: p, features after the shared projection, min(64, D) by default; 0 leaves it out.
        n_projections: V, projections through which `eval()` mode predicts.
        seed: seed of the initial weights, and of their places and signs.
    """

    name = "tied-lstm"

    def __init__(
        self,
        n_features: int = 784,
        n_classes: int = 10,
        *,
        tokens: str = "paired",
        width: int = 64,
        n_units: int = 256,
        memory_length: int = MEMORY_LENGTH,
        input_rank: int | None = None,
        n_projections: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__(
            n_features,
            n_classes,
            tokens=tokens,
            width=width,
            input_rank=input_rank,
            n_projections=n_projections,
            seed=seed,
        )
        self.n_units = check_integer("n_units", n_units, 1)
        self.memory_length = check_integer("memory_length", memory_length, 2)
        if n_units % width:
            raise ValueError(f"n_units={n_units} is no multiple of width={width}: give one, such as {4 * width}.")
        self._make()

    def build_memory(self) -> None:
        """The weights, and where each stands."""
        self.shared_weights = nn.LSTM(self.width, self.width, batch_first=True)
        remember_for(self.memory_length, self.shared_weights, "_l0")
        for matrix, columns in (("ih", self.width), ("hh", self.n_units)):
            shape = 4 * self.n_units, columns
            place = torch.randperm(math.prod(shape)) % (4 * self.width**2)
            self.register_buffer(f"place_{matrix}", place.view(shape))
            self.register_buffer(f"sign_{matrix}", math.sqrt(self.width / columns) * _random_signs(*shape))
        copies = self.n_units // self.width
        self.register_buffer("sign_out", _random_signs(copies, self.width) / math.sqrt(copies))

    def start_memory(self, rows: int) -> State:
        """H = c = 0."""
        zeros = self.read_out.weight.new_zeros(1, rows, self.n_units)
        return zeros, zeros

    def run(self, tokens: torch.Tensor, memory: State) -> tuple[torch.Tensor, State]:
        """All tokens, in the weights' precision."""
        with torch.autocast(tokens.device.type, enabled=False):
            tokens = tokens.to(memory[0].dtype)
            units, h, c = torch.lstm(tokens, memory, self._weights(), True, 1, 0.0, self.training, False, True)
            outputs = (units.unflatten(2, (-1, self.width)) * self.get_buffer("sign_out")).sum(2)
        return outputs, (h, c)

    def memory_size(self, n_examples: int) -> int:
        """H and c."""
        return 2 * self.n_units

    def _weights(self) -> list[torch.Tensor]:
        """What `torch.lstm` takes: the token's matrix, the recurrent one, and their biases."""
        found = []
        for matrix in ("ih", "hh"):
            weight = self.shared_weights.get_parameter(f"weight_{matrix}_l0").flatten()
            found.append(weight[self.get_buffer(f"place_{matrix}")] * self.get_buffer(f"sign_{matrix}"))
        for matrix in ("ih", "hh"):
            gates = self.shared_weights.get_parameter(f"bias_{matrix}_l0").view(4, 1, self.width)
            found.append(gates.expand(-1, self.n_units // self.width, -1).flatten())
        return found


def _random_signs(*shape: int) -> torch.Tensor:
    """±1."""
    return 2.0 * torch.randint(2, shape) - 1.0
