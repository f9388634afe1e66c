"""What tests of in-context RL share: players of bandits with known answers, and their records."""

from typing import Any

import torch

from gpicl_envs.evaluation.return_records import ReturnRecord
from gpicl_envs.rl.bandit import Bandit
from gpicl_envs.rl.evaluate import evaluate_players
from gpicl_envs.rl.players.base import KnowingPlayer, Player, UniformPlayer


class KnowsTheArm(KnowingPlayer):
    """Pulls the best arm."""

    name = "knows"

    def start_knowing(self, made, problems, generator):
        return problems.hidden["p"].argmax(1)

    def act(self, state, observation):
        return state, state


class GreedyArm(Player):
    """Pulls the arm of the highest mean so far, each of which begins at 1 of 2."""

    name = "greedy"
    problems = ("Bandit",)

    def start(self, made, batch_size, generator):
        ones = torch.ones(batch_size, made.n_actions)
        return ones, 2 * ones

    def act(self, state, observation):
        wins, pulls = state
        wins = wins + observation["action"] * observation["reward"]
        pulls = pulls + observation["action"]
        return (wins / pulls).argmax(1), (wins, pulls)


def return_records(problems: int = 60, **arguments: Any) -> list[ReturnRecord]:
    """Records of the player that knows, the greedy and the uniform one on small bandits."""
    made = Bandit(**{"length": 20, "split": "test"} | arguments)
    players = [KnowsTheArm(), GreedyArm(), UniformPlayer()]
    return [curve.record() for curve in evaluate_players(players, made, problems=problems)]


MODULE = """
import torch
from gpicl_envs import Learner, Player

class Last(Player):
    "Repeats its last action while that pays, else takes the next arm."
    name = "win-stay"
    def start(self, made, batch_size, generator):
        return made.n_actions
    def act(self, state, observation):
        last, paid = observation["action"].argmax(1), observation["reward"][:, 0] > 0
        return torch.where(paid, last, (last + 1) % state), state

class OfMazes(Last):
    name, problems = "of-mazes", ("DarkRoom",)

class Draws(Last):
    name = "draws"
    def act(self, state, observation):
        return torch.randint(state, (len(observation["x"]),)), state

class Stumbles(Last):
    def act(self, state, observation):
        raise KeyError("no key")

class Agent(Learner):
    "Predicts labels, and makes a player of itself."
    def predict(self, x, y):
        return torch.zeros(*y.shape, self.n_classes)
    def as_player(self, made):
        return Last()

class NoAgent(Agent):
    def as_player(self, made):
        return self
"""
