"""A sequence model as a player of in-context RL problems: what was done and earned enters as tokens, as labels do."""

from typing import Any

import torch

from gpicl_envs.rl.players.base import CannotPlayError, Player, draw_action
from gpicl_envs.rl.problems import ProblemDistribution, Tensors

EXTRA_FEATURES = 2  # the previous reward, and whether an episode begins


def read_observation(observation: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the input and the feedback of a sequence model.

    Args:
        observation: x (B, D) and y (B, K) of supervised problems; or x (B, D), action (B, A), reward (B, 1) and start
            (B, 1) of RL problems.

    Returns:
        (B, D) and (B, K); or (B, D + 2), with the reward and the start behind x, and (B, A).
    """
    if "y" in observation:
        return observation["x"], observation["y"]
    return torch.cat([observation[name] for name in ("x", "reward", "start")], 1), observation["action"]


class SequencePlayer(Player):
    """Plays by the policy of a sequence model that was meta-trained on RL problems (`gpicl train-rl`).

    Args:
        agent: a `SequenceAgent` with D + 2 inputs and A classes, the actions.
        greedy: take the most likely action instead of drawing one.
    """

    def __init__(self, agent: Any, greedy: bool = False) -> None:
        self.agent, self.greedy, self.name = agent.eval(), greedy, agent.name
        self.n_parameters = agent.n_parameters

    def check_can_play(self, made: ProblemDistribution) -> None:
        """Raise CannotPlayError for problems of other sizes than the agent's."""
        given = self.agent.n_features, self.agent.n_classes
        if given != (needed := (made.n_features + EXTRA_FEATURES, made.n_actions)):
            raise CannotPlayError(
                f"{self.name} has n_features={given[0]} and n_classes={given[1]}, but {made.name} takes D + 2 = "
                f"{needed[0]} and A = {needed[1]}: play it on the problems that it was trained on."
            )

    def start(self, made: ProblemDistribution, batch_size: int, generator: torch.Generator) -> Any:
        """Return the state of the model and the generator."""
        return self.agent.start(batch_size), generator

    @torch.no_grad()
    def act(self, state: Any, observation: Tensors) -> tuple[torch.Tensor, Any]:
        """Draw (B,) actions from the policy, or take the most likely ones."""
        memory, generator = state
        x, feedback = read_observation(observation)
        logits, memory = self.agent.forward_step(memory, x, feedback)
        return draw_action(logits, self.greedy, generator), (memory, generator)
