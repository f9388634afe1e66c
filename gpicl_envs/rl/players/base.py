"""`Player`: what plays in-context RL problems, be it an algorithm or a meta-trained model."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch

from gpicl_envs.rl.problems import ProblemDistribution, Problems, Tensors


class CannotPlayError(ValueError):
    """A player is made for other problems: for another kind, or for another number of features or actions."""


class Player(ABC):
    """Plays B problems at once; all that it learns within a problem is in its state.

    Attributes:
        name: in tables and records.
        problems: the names of the kinds of problems that it can play; empty for all.
        n_parameters: number of its meta-trained parameters.

    Example:
        >>> class Repeat(Player):
        ...     "Does what it did last."
        ...     name = "repeat"
        ...     def start(self, made, batch_size, generator): return None
        ...     def act(self, state, observation): return observation["action"].argmax(1), state
    """

    name: str
    problems: ClassVar[tuple[str, ...]] = ()
    n_parameters: int = 0

    @abstractmethod
    def start(self, made: ProblemDistribution, batch_size: int, generator: torch.Generator) -> Any:
        """Return the state of B players that have seen nothing.

        Args:
            made: the distribution that the problems come from, on its device; its sizes and prior are no secret.
            batch_size: B.
            generator: of all random numbers that the player draws, on the same device.
        """

    @abstractmethod
    def act(self, state: Any, observation: Tensors) -> tuple[torch.Tensor, Any]:
        """Choose the next actions.

        Args:
            state: what `start` or the last `act` returned.
            observation: x (B, D), action (B, A), reward (B, 1) and start (B, 1), as `ProblemVectorEnv` shows them.

        Returns:
            (B,) int64 actions, and the next state.
        """

    def check_can_play(self, made: ProblemDistribution) -> None:
        """Raise CannotPlayError for a kind of problem that it cannot play."""
        if self.problems and made.name not in self.problems:
            raise CannotPlayError(
                f"{self.name} plays {' and '.join(self.problems)}, not {made.name}: choose another player."
            )


class KnowingPlayer(Player):
    """A player that is told the hidden environments; an upper bound, not a learner."""

    def start(self, made: ProblemDistribution, batch_size: int, generator: torch.Generator) -> Any:
        """Refuse: without the problems it has nothing to play by."""
        raise ValueError(f"{self.name} has to be told the hidden problems: evaluate it by `evaluate_players`.")

    @abstractmethod
    def start_knowing(self, made: ProblemDistribution, problems: Problems, generator: torch.Generator) -> Any:
        """Return the state of B players that know the problems."""


def draw_action(logits: torch.Tensor, greedy: bool, generator: torch.Generator) -> torch.Tensor:
    """(B, A) logits of a policy → (B,) actions drawn from it, or the most likely ones."""
    return logits.argmax(1) if greedy else torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]


class UniformPlayer(Player):
    """Draws every action uniformly: what an agent without any learning earns."""

    name = "uniform"

    def start(self, made: ProblemDistribution, batch_size: int, generator: torch.Generator) -> Any:
        """Return the number of actions and the generator."""
        return made.n_actions, generator

    def act(self, state: Any, observation: Tensors) -> tuple[torch.Tensor, Any]:
        """Draw (B,) actions."""
        n_actions, generator = state
        x = observation["x"]
        return torch.randint(n_actions, (len(x),), generator=generator, device=x.device), state
