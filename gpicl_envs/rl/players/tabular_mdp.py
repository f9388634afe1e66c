"""Players of tabular MDPs, all with the prior of the problem: flat Dirichlet transitions, mean rewards N(1, 1)."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from gpicl_envs.errors import check_fraction, check_number
from gpicl_envs.rl.planning import plan
from gpicl_envs.rl.players.base import KnowingPlayer, Player
from gpicl_envs.rl.players.belief import Belief
from gpicl_envs.rl.players.posterior import draw_dirichlet, explore
from gpicl_envs.rl.problems import ProblemDistribution, Problems, Tensors
from gpicl_envs.rl.tabular_mdp import TabularMDP


@dataclass(frozen=True)
class ModelState:
    """What B model-based players remember.

    Args:
        belief: their posterior.
        policy: (B, H, S) int64, what they do in each step of an episode and each state.
        step: (B,) int64, the step of the episode.
        x: (B, S) one-hot, the last state.
        generator: of all random numbers.
    """

    belief: Belief
    policy: torch.Tensor
    step: torch.Tensor
    x: torch.Tensor
    generator: torch.Generator


class ModelBasedPlayer(Player):
    """Plans with a model of the MDP, at the start of each episode or at every step."""

    problems = (TabularMDP.name,)
    plans_each_step: ClassVar[bool] = False
    epsilon: float = 0.0

    @abstractmethod
    def model(self, belief: Belief, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the transitions (B, S, A, S) and the rewards (B, S, A) to plan with."""

    def start(self, made: ProblemDistribution, batch_size: int, generator: torch.Generator) -> ModelState:
        """Return the prior, without any plan."""
        self.check_can_play(made)
        belief = Belief.prior(batch_size, made.n_features, made.n_actions, made.device)
        policy = torch.zeros(batch_size, made.episode_length, made.n_features, dtype=torch.int64, device=made.device)
        return ModelState(belief, policy, policy[:, 0, 0], torch.zeros_like(belief.alpha[:, :, 0, 0]), generator)

    def act(self, state: ModelState, observation: Tensors) -> tuple[torch.Tensor, ModelState]:
        """Learn from the last step, plan if it is time to, and follow the plan."""
        belief = state.belief.after(state.x, observation)
        begins, rows = observation["start"][:, 0] > 0, torch.arange(len(state.x), device=state.x.device)
        policy, step = state.policy, torch.where(begins, 0, state.step + 1)
        if self.plans_each_step or bool(begins.any()):
            planned, _ = plan(*self.model(belief, state.generator), horizon=policy.shape[1])
            policy = planned if self.plans_each_step else torch.where(begins[:, None, None], planned, policy)
        action = policy[rows, step, observation["x"].argmax(1)]
        if self.epsilon > 0:
            action = explore(action, belief.n_rewards.shape[2], self.epsilon, state.generator)
        return action, ModelState(belief, policy, step, observation["x"], state.generator)


class PSRL(ModelBasedPlayer):
    """Follows the best policy of an MDP drawn from the posterior at the start of each episode.

    Strens (2000); Osband, Russo and Van Roy (2013), arXiv:1306.0940.
    """

    name = "psrl"

    def model(self, belief: Belief, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw an MDP."""
        mean = belief.mean_rewards
        noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=torch.float32)
        return draw_dirichlet(belief.alpha, generator), mean + noise / belief.n_rewards.sqrt()


class BayesianExplorationBonus(ModelBasedPlayer):
    """Follows the best policy for the mean MDP, with rewards raised by beta / (1 + α₀(s, a)); plans at every step.

    Kolter and Ng (2009), "Near-Bayesian exploration in polynomial time"; α₀ is the sum of the Dirichlet parameters.
    They know the rewards; here the posterior mean stands for them.

    Args:
        beta: the theory asks for 2 H²; the default was the best of 0, 5, 10, 20, 30, 40, 60 and 80 on
            1,000 default problems of the train split.
    """

    name = "beb"
    plans_each_step = True

    def __init__(self, beta: float = 20.0) -> None:
        self.beta = check_number("beta", beta, 0)

    def model(self, belief: Belief, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean MDP with the bonus."""
        return belief.mean_transitions, belief.mean_rewards + self.beta / (1 + belief.alpha.sum(3))


class EpsilonGreedyModel(ModelBasedPlayer):
    """Follows the best policy for the mean MDP, planned once an episode, and with probability epsilon acts at random.

    Args:
        epsilon: from 0 to 1.
    """

    name = "epsilon-greedy"

    def __init__(self, epsilon: float = 0.1) -> None:
        self.epsilon = check_fraction("epsilon", epsilon)

    def model(self, belief: Belief, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean MDP."""
        return belief.mean_transitions, belief.mean_rewards


class KnownModel(KnowingPlayer):
    """Follows the best policy, by value iteration with the model known."""

    name = "best"
    problems = (TabularMDP.name,)

    def start_knowing(self, made: ProblemDistribution, problems: Problems, generator: torch.Generator) -> Any:
        """Return the best policy (B, H, S) and the step before the first (B,)."""
        self.check_can_play(made)
        policy, _ = plan(problems.hidden["transitions"], problems.hidden["mean_rewards"], made.episode_length)
        return policy, torch.full_like(problems.ids, -1)

    def act(self, state: Any, observation: Tensors) -> tuple[torch.Tensor, Any]:
        """Follow the policy."""
        policy, step = state
        step = torch.where(observation["start"][:, 0] > 0, 0, step + 1)
        rows = torch.arange(len(step), device=step.device)
        return policy[rows, step, observation["x"].argmax(1)], (policy, step)
