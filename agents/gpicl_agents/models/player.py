"""A sequence model as a player of in-context RL problems: what was done and earned enters as tokens, as labels do."""

from typing import Any

import torch

from gpicl_agents.models.policy import ActionUnits
from gpicl_envs.rl.players.base import CannotPlayError, Player, draw_action
from gpicl_envs.rl.problems import ProblemDistribution, Tensors

EXTRA_FEATURES = 2  # the previous reward, and whether an episode begins


def read_observation(observation: Tensors, units: ActionUnits | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the input and the feedback of a sequence model.

    Args:
        observation: x (B, D) and y (B, K) of supervised problems; or x (B, D), action (B, A), reward (B, 1) and start
            (B, 1) of RL problems.
        units: of the actions of RL problems; None for Discrete ones.

    Returns:
        (B, D) and (B, K); or (B, D + 2), with the reward and the start behind x, and (B, A).
    """
    if "y" in observation:
        return observation["x"], observation["y"]
    action = observation["action"] if units is None else units.to_policy(observation["action"])
    return torch.cat([observation[name] for name in ("x", "reward", "start")], 1), action


class SequencePlayer(Player):
    """Plays by the policy of a sequence model that was meta-trained on RL problems (`gpicl train-rl`).

    Args:
        agent: a `SequenceAgent` with D + 2 inputs and A classes, the actions.
        greedy: take the most likely action instead of drawing one.
        space: of one action, if the problems are not of this package.
    """

    def __init__(self, agent: Any, greedy: bool = False, space: Any = None) -> None:
        if agent.continuous_actions and space is None:
            raise CannotPlayError(
                f"{agent.name} acts by real numbers, in units of the bounds of an environment's actions: give that "
                "vector environment, as in as_player(venv)."
            )
        self.agent, self.greedy, self.name = agent.eval(), greedy, agent.name
        self.n_parameters, self.units = agent.n_parameters, ActionUnits(space, agent.device)

    def check_can_play(self, made: ProblemDistribution) -> None:
        """Raise CannotPlayError for problems of other sizes than the agent's."""
        if self.agent.continuous_actions:
            raise CannotPlayError(f"{self.name} acts by real numbers, but {made.name} has Discrete actions.")
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
        """Draw B actions from the policy, or take the most likely ones; observations may be NumPy arrays."""
        memory, generator = state
        shown = {name: torch.as_tensor(value, device=self.agent.device) for name, value in observation.items()}
        x, feedback = read_observation(shown, self.units)
        outputs, memory = self.agent.forward_step(memory, x, feedback)
        if self.agent.log_std is None:
            drawn = draw_action(outputs, self.greedy, generator)
        else:
            std = self.agent.log_std.exp().expand_as(outputs)
            drawn = outputs if self.greedy else torch.normal(outputs, std, generator=generator)
        return self.units.to_environment(drawn), (memory, generator)
