"""A policy of stable-baselines3 or sb3-contrib as a player of in-context RL problems, scored beside all others."""

from typing import Any

import torch
from gymnasium.spaces import Dict

from gpicl_envs.rl.players.base import CannotPlayError, Player, draw_action
from gpicl_envs.rl.problems import ProblemDistribution, Tensors


class Sb3Player(Player):
    """Plays by a policy that PPO or RecurrentPPO trained on RL problems through `Sb3VecEnv`, flattened or not.

    An LSTM keeps its state over all episodes of a problem, as in training: there, a problem is SB3's episode.

    Args:
        policy: `model.policy`, of PPO, A2C or RecurrentPPO.
        name: in tables and records.
        greedy: take the most likely action instead of drawing one.

    Example:
        >>> from sb3_contrib import RecurrentPPO
        >>> from gpicl_envs import evaluate_players
        >>> from gpicl_envs.rl.bandit import Bandit
        >>> from gpicl_envs.wrappers.sb3 import Sb3VecEnv
        >>> model = RecurrentPPO("MultiInputLstmPolicy", Sb3VecEnv("GPICL-Bandit-v0", num_envs=2, length=5))
        >>> evaluate_players([Sb3Player(model.policy)], Bandit(length=5, split="test"), problems=3)[0].rewards.shape
        (3, 5)
    """

    def __init__(self, policy: Any, name: str = "sb3", greedy: bool = False) -> None:
        policy.set_training_mode(False)
        self.policy, self.name, self.greedy = policy, name, greedy
        self.n_parameters = sum(weights.numel() for weights in policy.parameters())

    def check_can_play(self, made: ProblemDistribution) -> None:
        """Raise CannotPlayError for problems of other sizes than those of training."""
        seen, actions = self.policy.observation_space, self.policy.action_space
        needed: Any = {"action": (made.n_actions,), "reward": (1,), "start": (1,), "x": (made.n_features,)}
        if isinstance(seen, Dict):
            given: Any = {name: space.shape for name, space in seen.spaces.items()}
        else:
            given, needed = seen.shape, (sum(shape[0] for shape in needed.values()),)
        if given != needed or getattr(actions, "n", None) != made.n_actions:
            raise CannotPlayError(
                f"{self.name} takes observations of {given} and has {actions} as its actions, but {made.name} shows "
                f"{needed} and has A = {made.n_actions} actions: play it on the problems that it was trained on."
            )

    def start(self, made: ProblemDistribution, batch_size: int, generator: torch.Generator) -> Any:
        """Return the state of the LSTM, (layers, B, H) twice, or None without one, and the generator."""
        self.policy.to(made.device)
        lstm = getattr(self.policy, "lstm_actor", None)
        if lstm is None:
            return None, generator
        zeros = torch.zeros(lstm.num_layers, batch_size, lstm.hidden_size, device=made.device)
        return (zeros, zeros), generator

    @torch.no_grad()
    def act(self, state: Any, observation: Tensors) -> tuple[torch.Tensor, Any]:
        """Draw (B,) actions from the policy, or take the most likely ones."""
        memory, generator = state
        shown: Any = observation
        if not isinstance(self.policy.observation_space, Dict):
            shown = torch.cat([observation[name] for name in sorted(observation)], 1)  # as FlattenObservation has them
        if memory is None:
            policy = self.policy.get_distribution(shown)
        else:
            policy, memory = self.policy.get_distribution(shown, memory, torch.zeros_like(observation["start"][:, 0]))
        return draw_action(policy.distribution.logits, self.greedy, generator), (memory, generator)
