"""`Play`: problems under way, one step at a time; what vector and single environments share."""

import numpy as np

from gpicl_envs.envs.arrays import Array, Lookup, copied, filled, to_float, where
from gpicl_envs.rl.problems import Arrays, ProblemDistribution, Problems


class Play:
    """B problems under way, as tensors or as NumPy's arrays, whichever the problems hold.

    The environments keep seeds and positions, and check actions.

    Args:
        made: the distribution of the problems.
    """

    problems: Problems
    state: Array  # (B,) int64
    _action: Array  # (B,) int64, the previous ones
    _reward: Array  # (B,) float32, the previous ones

    def __init__(self, made: ProblemDistribution) -> None:
        self.made = made
        # One-hot actions, then zeros, since at the first step of a problem there is no previous one.
        self._shown = Lookup(np.eye(made.n_actions + 1, made.n_actions, dtype=np.float32), made.device)

    def begin(self, problems: Problems, begins: Array | None = None) -> None:
        """Put all problems to their first step, or only those that begin (B,)."""
        state, action = self.made.first_state(problems), filled(problems.rows, self.made.n_actions)
        reward = to_float(filled(problems.rows, 0))
        if begins is not None:
            state, action = where(begins, state, self.state), where(begins, action, self._action)
            reward = where(begins, reward, self._reward)
        self.problems, self.state, self._action, self._reward = problems, state, action, reward

    def act(self, action: Array, n: int | Array, active: Array | None = None) -> Array:
        """Take a step.

        Args:
            action: (B,) int64, from 0 to A − 1.
            n: the steps taken so far in the problem, if they are as many in all; else (B,) int64.
            active: (B,) the problems that act, if not all do; the others are to begin in this step.

        Returns:
            (B,) float32 rewards, 0 where inactive.
        """
        state, reward = self.made.transition(self.problems, self.state, action, n)
        begins = self._begins(n + 1)
        if not isinstance(begins, bool):
            state = where(begins, self.made.first_state(self.problems), state)
        elif begins:
            state = self.made.first_state(self.problems)
        if active is not None:
            reward = where(active, reward, filled(reward, 0))
        self.state, self._action, self._reward = state, copied(action), reward
        return copied(reward)

    def observe(self, n: int | Array) -> Arrays:
        """Return what is shown after n steps, in memory of its own, each (B, …)."""
        begins = self._begins(n)
        start = filled(self._reward, begins) if isinstance(begins, bool) else to_float(begins)
        return {
            "x": self.made.observe(self.state),
            "action": self._shown[self._action],
            "reward": copied(self._reward)[:, None],
            "start": start[:, None],
        }

    def _begins(self, n: int | Array) -> bool | Array:
        """Whether an episode begins after n steps; none does at the end of the problem."""
        return (n % self.made.episode_length == 0) & (n < self.made.length)
