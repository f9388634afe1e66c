"""LSTM with tied weights: its state grows with the number of units, its parameters do not.

The weights of n units are taken from those of an LSTM as wide as its tokens (width ≤ n), as in a hashed network (Chen
et al. 2015, arXiv:1504.04788): every weight of that small LSTM appears, with random signs, in n/width places of the
input matrix and (n/width)² of the recurrent one, drawn once from the seed. Units i and i + width share their biases;
dimension i of the output is the signed sum of the units i, i + width, i + 2·width, … With n = width it is an LSTM.

State: 2 · n, however many examples. `gpicl experiment state-size` uses it to vary the state at a fixed number of
parameters.
"""

import math

import torch
from torch import nn

from gpicl_agents.models.base import SequenceAgent
from gpicl_agents.models.lstm import MEMORY_LENGTH, State, init_memory_length
from gpicl_envs.errors import check_integer


class TiedLSTM(SequenceAgent):
    """One LSTM layer of many units and few weights.

    Args:
        width: size of a token, and of the LSTM whose weights are shared.
        n_units: size of h and of c, a multiple of the width; the number of parameters does not depend on it.
        memory_length: T, examples that the slowest unit remembers initially; the others 1 to T.
        seed: seed of the initial weights, and of their places and signs.
    """

    name = "tied-lstm"
    width: int = 64
    n_units: int = 256
    memory_length: int = MEMORY_LENGTH

    def check_arguments(self) -> None:
        """Check its own arguments too."""
        super().check_arguments()
        self.n_units = check_integer("n_units", self.n_units, 1)
        self.memory_length = check_integer("memory_length", self.memory_length, 2)
        if self.n_units % self.width:
            raise ValueError(
                f"n_units={self.n_units} is not a multiple of width={self.width}: give one, such as {4 * self.width}."
            )

    def build_layers(self) -> None:
        """Make the weights, their places and signs."""
        self.shared_weights = nn.LSTM(self.width, self.width, batch_first=True)
        init_memory_length(self.memory_length, self.shared_weights, "_l0")
        for matrix, columns in (("ih", self.width), ("hh", self.n_units)):
            shape = 4 * self.n_units, columns
            place = torch.randperm(math.prod(shape)) % (4 * self.width**2)
            self.register_buffer(f"place_{matrix}", place.view(shape))
            self.register_buffer(f"sign_{matrix}", math.sqrt(self.width / columns) * _random_signs(*shape))
        copies = self.n_units // self.width
        self.register_buffer("sign_out", _random_signs(copies, self.width) / math.sqrt(copies))

    def start_memory(self, batch: int) -> State:
        """Return h = c = 0."""
        zeros = self.read_out.weight.new_zeros(1, batch, self.n_units)
        return zeros, zeros

    def run(self, tokens: torch.Tensor, memory: State, directions: torch.Tensor) -> tuple[torch.Tensor, State]:
        """Run the layer on the next tokens, in the precision of the weights."""
        with torch.autocast(tokens.device.type, enabled=False):
            tokens = tokens.to(memory[0].dtype)
            units, h, c = torch.lstm(tokens, memory, self._weights(), True, 1, 0.0, self.training, False, True)
            outputs = (units.unflatten(2, (-1, self.width)) * self.get_buffer("sign_out")).sum(2)
        return outputs, (h, c)

    def _weights(self) -> list[torch.Tensor]:
        """What `torch.lstm` takes: the input matrix, the recurrent one, and their biases."""
        weights = []
        for matrix in ("ih", "hh"):
            weight = self.shared_weights.get_parameter(f"weight_{matrix}_l0").flatten()
            weights.append(weight[self.get_buffer(f"place_{matrix}")] * self.get_buffer(f"sign_{matrix}"))
        for matrix in ("ih", "hh"):
            gates = self.shared_weights.get_parameter(f"bias_{matrix}_l0").view(4, 1, self.width)
            weights.append(gates.expand(-1, self.n_units // self.width, -1).flatten())
        return weights


def _random_signs(*shape: int) -> torch.Tensor:
    """±1."""
    return 2.0 * torch.randint(2, shape) - 1.0
