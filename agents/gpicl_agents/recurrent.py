"""What recurrent agents share: one `run` over any number of tokens serves both all positions at once and one."""

from typing import Any

import torch

from gpicl_agents.sequence import SequenceAgent


class RecurrentAgent(SequenceAgent):
    """A sequence model whose memory has one size, however many examples.

    A subclass gives `build_memory`, `start_memory`, `run` and `memory_size`.
    """

    def run(self, tokens: torch.Tensor, memory: Any) -> tuple[torch.Tensor, Any]:
        """(B·V, T, width) tokens after those that the memory holds → the same shape, and the memory after them."""
        raise NotImplementedError

    def remember(self, tokens: torch.Tensor, units: torch.Tensor) -> torch.Tensor:
        """All tokens, from an empty memory."""
        return self.run(tokens, self.start_memory(len(tokens)))[0]

    def remember_step(self, memory: Any, token: torch.Tensor, unit: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """One more token."""
        return self.run(token, memory)
