"""The Bernoulli bandit: K arms, each of which pays 1 with a probability of its own."""

import numpy as np
import torch

from gpicl_envs.envs.arrays import Array, Lookup, to_float
from gpicl_envs.errors import check_integer
from gpicl_envs.rl.problems import ProblemDistribution, Problems, Tensors, check_actions
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.substreams import ARMS, PULLS
from gpicl_envs.tasks.base import LENGTH


class Bandit(ProblemDistribution):
    """Bernoulli bandits: each of A arms pays 1 with a hidden probability p ~ U(0, 1), else 0.

    The problem of Duan et al. (2016), arXiv:1611.02779, section 3.1. Every pull is an episode of one step.

    ### Observation space
    `x` is always 1: what matters is the previous action and its reward. D = 1.

    ### Action space
    The arm to pull, from 0 to A − 1.

    ### Rewards
    1 with the probability of the arm, else 0.

    ### Randomness
    Every arm reads the same random number, so that players are compared on the same luck.

    ### Known results
    Uniform play earns N/2 on average, the best arm A/(A + 1) · N.

    Args:
        n_arms: A, number of arms.
        length: N, pulls in a problem.
        n_tasks: number of tasks, with ids 0 … n − 1, regenerated on demand; `None` gives endless one-off tasks.
        split: `"train"` or `"test"`, which share no one-off tasks and no luck.
        task_seed: seed of the numbered tasks.
        device: where problems are made.

    Raises:
        ValueError: an argument is out of range.
    """

    name = "Bandit"
    binary_rewards = True
    n_features, episode_length = 1, 1

    def __init__(
        self,
        *,
        n_arms: int = 5,
        length: int = LENGTH,
        n_tasks: int | None = None,
        split: str = "train",
        task_seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        self.n_arms = self.n_actions = check_actions("n_arms", n_arms)
        self.n_episodes = check_integer("length", length, 1)
        self._set_common(n_tasks, split, task_seed, device)
        self.views = Lookup(np.ones((1, 1), np.float32), self.device)

    def draw_hidden(self, task: Streams) -> Tensors:
        """Return `p` (B, A), the probability of each arm."""
        return {"p": task.uniform(self.n_arms, substream=ARMS).float()}

    def draw_noise(self, episode: Streams) -> Tensors:
        """Return `luck` (B, N), uniform: an arm pays if its probability is above."""
        return {"luck": episode.uniform(self.length, substream=PULLS).float()}

    def transition(self, problems: Problems, state: Array, action: Array, n: int | Array) -> tuple[Array, Array]:
        """Pull an arm in each problem."""
        p = problems.hidden["p"].take(problems.rows * self.n_arms + action)
        return state, to_float(problems.noise_at("luck", n) < p)

    def best_return(self, problems: Problems) -> torch.Tensor:
        """Return (B,) the probability of the best arm."""
        return problems.hidden["p"].amax(1)

    def describe(self, problems: Problems, row: int, state: int) -> str:
        """Return the probability of each arm."""
        p = problems.hidden["p"][row]
        lines = [f"arm {arm}: {value:.2f}{' (best)' if arm == p.argmax() else ''}" for arm, value in enumerate(p)]
        return "\n".join([f"{self.name}: each arm pays 1 with probability", *lines])
