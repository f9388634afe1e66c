"""Players of Bernoulli bandits, all with the prior Beta(1, 1) of the problem."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import torch

from gpicl_envs.errors import check_fraction, check_positive
from gpicl_envs.rl.bandit import Bandit
from gpicl_envs.rl.players.base import CannotPlayError, KnowingPlayer, Player
from gpicl_envs.rl.players.gittins import LONGEST, gittins_table
from gpicl_envs.rl.players.posterior import draw_dirichlet, explore
from gpicl_envs.rl.problems import ProblemDistribution, Problems, Tensors


@dataclass(frozen=True)
class Pulls:
    """What B players have seen of A arms.

    Args:
        wins: (B, A) float32, how often each arm paid.
        losses: (B, A) float32, how often it did not.
        length: N.
        generator: of all random numbers.
    """

    wins: torch.Tensor
    losses: torch.Tensor
    length: int
    generator: torch.Generator

    @property
    def mean(self) -> torch.Tensor:
        """(B, A) the posterior mean of each arm."""
        return (self.wins + 1) / (self.wins + self.losses + 2)

    def after(self, observation: Tensors) -> "Pulls":
        """Count the previous pull, which is all zeros at the first step."""
        action, reward = observation["action"], observation["reward"]
        wins, losses = self.wins + action * reward, self.losses + action * (1 - reward)
        return Pulls(wins, losses, self.length, self.generator)


class CountingPlayer(Player):
    """A player of bandits whose memory is how often each arm paid and did not."""

    problems = (Bandit.name,)

    def start(self, made: ProblemDistribution, batch_size: int, generator: torch.Generator) -> Pulls:
        """Return counts of 0."""
        self.check_can_play(made)
        none = torch.zeros(batch_size, made.n_actions, dtype=torch.float32, device=made.device)
        return Pulls(none, none, made.length, generator)

    def act(self, state: Pulls, observation: Tensors) -> tuple[torch.Tensor, Pulls]:
        """Choose (B,) arms."""
        pulls = state.after(observation)
        return self.choose(pulls), pulls

    @abstractmethod
    def choose(self, pulls: Pulls) -> torch.Tensor:
        """Return (B,) int64 arms."""


class ThompsonSampling(CountingPlayer):
    """Draws a probability for each arm from its posterior, and pulls the largest (Thompson 1933)."""

    name = "thompson-sampling"

    def choose(self, pulls: Pulls) -> torch.Tensor:
        """Return the largest of the draws, each from Beta(wins + 1, losses + 1)."""
        return draw_dirichlet(torch.stack([pulls.wins, pulls.losses], 2) + 1, pulls.generator)[..., 0].argmax(1)


class UCB1(CountingPlayer):
    """UCB1 of Auer, Cesa-Bianchi and Fischer (2002): the largest of mean + bonus · √(2 ln n / n_j).

    Every arm is pulled once first. n counts all pulls so far, n_j those of the arm.

    Args:
        bonus: factor of the second term, 1 in the paper. Duan et al. (2016) tune it for each setting.
    """

    name = "ucb1"

    def __init__(self, bonus: float = 1.0) -> None:
        self.bonus = check_positive("bonus", bonus)

    def choose(self, pulls: Pulls) -> torch.Tensor:
        """Return the arm with the largest upper confidence bound."""
        pulled = pulls.wins + pulls.losses
        total = pulled.sum(1, keepdim=True)
        bound = pulls.wins / pulled + self.bonus * (2 * total.log() / pulled).sqrt()
        return bound.masked_fill(pulled == 0, torch.inf).argmax(1)


class EpsilonGreedy(CountingPlayer):
    """Pulls the arm with the largest posterior mean, and with probability epsilon any arm.

    Args:
        epsilon: from 0 to 1.
    """

    name = "epsilon-greedy"

    def __init__(self, epsilon: float = 0.1) -> None:
        self.epsilon = check_fraction("epsilon", epsilon)

    def choose(self, pulls: Pulls) -> torch.Tensor:
        """Return the best arm so far, or any."""
        return explore(pulls.mean.argmax(1), pulls.mean.shape[1], self.epsilon, pulls.generator)


class GittinsIndex(CountingPlayer):
    """Pulls the arm with the largest finite-horizon Gittins index; see `gpicl_envs.rl.players.gittins`."""

    name = "gittins"

    def check_can_play(self, made: ProblemDistribution) -> None:
        """Raise CannotPlayError for another kind of problem, or for more pulls than a table is computed for."""
        super().check_can_play(made)
        if made.length > LONGEST:
            raise CannotPlayError(f"gittins plays {LONGEST} pulls at most, not {made.length}: choose another player.")

    def start(self, made: ProblemDistribution, batch_size: int, generator: torch.Generator) -> Pulls:
        """Return counts of 0, once the table is there."""
        state = super().start(made, batch_size, generator)
        gittins_table(made.length, made.device)
        return state

    def choose(self, pulls: Pulls) -> torch.Tensor:
        """Return the arm with the largest index for the pulls that are left."""
        left = pulls.length - (pulls.wins + pulls.losses).sum(1, keepdim=True).long()
        table = gittins_table(pulls.length, left.device)
        return table.index(pulls.wins.long(), pulls.losses.long(), left).argmax(1)


class BestArm(KnowingPlayer):
    """Pulls the best arm."""

    name = "best"
    problems = (Bandit.name,)

    def start_knowing(self, made: ProblemDistribution, problems: Problems, generator: torch.Generator) -> Any:
        """Return the best arms (B,)."""
        self.check_can_play(made)
        return problems.hidden["p"].argmax(1)

    def act(self, state: Any, observation: Tensors) -> tuple[torch.Tensor, Any]:
        """Return the best arms."""
        return state, state
