"""Random Markov decision processes of a few states."""

import numpy as np
import torch
from torch.nn.functional import pad

from gpicl_envs.envs.arrays import Array, Lookup, cumulated, take_columns
from gpicl_envs.errors import check_integer
from gpicl_envs.rl.planning import plan
from gpicl_envs.rl.problems import ProblemDistribution, Problems, Tensors, check_actions
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.substreams import MEAN_REWARDS, MOVES, REWARD_NOISE, TRANSITIONS

PRIOR_MEAN = 1.0  # of the mean rewards, whose variance is 1, as is that of the reward around its mean
BITS = 24  # probabilities are whole multiples of 2^−BITS, so that float32 adds them without any rounding


class TabularMDP(ProblemDistribution):
    """Random MDPs: transitions from a flat Dirichlet distribution, rewards N(μ, 1) with μ ~ N(1, 1).

    The problem of Duan et al. (2016), arXiv:1611.02779, section 3.2: 10 states, 5 actions, episodes of 10 steps. Its
    Table 2 calls n what `n_episodes` is here.

    ### Observation space
    `x` is the one-hot state: D = S.

    ### Action space
    The numbers have no meaning of their own: what an action does is drawn for each state.

    ### Starting state
    Every episode starts in state 0.

    ### Rewards
    The mean reward μ of the state and the action, plus noise of variance 1.

    ### Randomness
    One uniform number a step decides the next state, by the inverse of the cumulative distribution, and one normal
    number is the noise of the reward. All players read the same.

    ### Known results
    Uniform play earns 1 a step on average.

    Args:
        n_states: S, number of states.
        n_actions: A, number of actions.
        horizon: H, steps of an episode.
        n_episodes: K, episodes of a problem.
        n_tasks: number of tasks, with ids 0 … n − 1, regenerated on demand; `None` gives endless one-off tasks.
        split: `"train"` or `"test"`, which share no one-off tasks and no noise.
        task_seed: seed of the numbered tasks.
        device: where problems are made.

    Raises:
        ValueError: an argument is out of range.
    """

    name = "TabularMDP"

    def __init__(
        self,
        *,
        n_states: int = 10,
        n_actions: int = 5,
        horizon: int = 10,
        n_episodes: int = 10,
        n_tasks: int | None = None,
        split: str = "train",
        task_seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        self.n_states = self.n_features = check_integer("n_states", n_states, 2, why="with one state it is a bandit")
        self.n_actions = check_actions("n_actions", n_actions)
        self.horizon = self.episode_length = check_integer("horizon", horizon, 1)
        self.n_episodes = check_integer("n_episodes", n_episodes, 1)
        self._set_common(n_tasks, split, task_seed, device)
        self.views = Lookup(np.eye(self.n_states, dtype=np.float32), self.device)

    def draw_hidden(self, task: Streams) -> Tensors:
        """Return `transitions` (B, S, A, S) and `mean_rewards` (B, S, A).

        The gaps between sorted uniform numbers have a flat Dirichlet distribution (Devroye 1986, chapter V, theorem
        2.2), and are the same on every device, which logarithms would not be.
        """
        s, a = self.n_states, self.n_actions
        cuts = task.bits(BITS, s * a * (s - 1), substream=TRANSITIONS).view(-1, s, a, s - 1)
        if cuts.device.type == "cpu":
            cuts.numpy().sort()  # in place, and three times as fast as torch
        else:
            cuts = cuts.sort(dim=3).values
        edges = pad(pad(cuts, (1, 0)), (0, 1), value=1 << BITS)
        mean_rewards = PRIOR_MEAN + task.normal(s, a, substream=MEAN_REWARDS)
        return {"transitions": edges.diff(dim=3).float().mul_(2.0**-BITS), "mean_rewards": mean_rewards}

    def draw_noise(self, episode: Streams) -> Tensors:
        """Return `move` (B, N), uniform, and `reward_noise` (B, N), normal."""
        return {
            "move": episode.uniform(self.length, substream=MOVES).float(),
            "reward_noise": episode.normal(self.length, substream=REWARD_NOISE),
        }

    def transition(self, problems: Problems, state: Array, action: Array, n: int | Array) -> tuple[Array, Array]:
        """Move to a random state, and earn the mean reward of the state and the action plus noise."""
        place = (problems.rows * self.n_states + state) * self.n_actions + action
        p = take_columns(problems.hidden["transitions"].reshape(-1, self.n_states), place)
        moved = (problems.noise_at("move", n) >= cumulated(p[:-1])).sum(0)
        return moved, problems.hidden["mean_rewards"].take(place) + problems.noise_at("reward_noise", n)

    def best_return(self, problems: Problems) -> torch.Tensor:
        """Return (B,) the value of the first state under the best policy."""
        return plan(problems.hidden["transitions"], problems.hidden["mean_rewards"], self.horizon)[1][:, 0]

    def describe(self, problems: Problems, row: int, state: int) -> str:
        """Return what each action does in the current state."""
        facts = zip(
            problems.hidden["mean_rewards"][row, state], problems.hidden["transitions"][row, state], strict=True
        )
        lines = [
            f"{action}: mean reward {mean:.2f}, most likely to state {to.argmax()}"
            for action, (mean, to) in enumerate(facts)
        ]
        return "\n".join([f"{self.name}, in state {state} of {self.n_states}; actions", *lines])
