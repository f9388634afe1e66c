"""`ReturnCurve`: what a player earned in many in-context RL problems, with intervals, and the record of it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpicl_envs.evaluation.intervals import METHOD, Interval, accuracy_interval, few_note, mean_interval
from gpicl_envs.evaluation.provenance import provenance
from gpicl_envs.evaluation.records import Band, Estimate
from gpicl_envs.evaluation.return_records import DIGITS, ReturnRecord

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ReturnCurve:
    """The rewards of a player in E problems of N steps, which are K episodes of H steps.

    Arguments that are not listed here are fields of `ReturnRecord`.

    Args:
        rewards: (E, N) of each step.
        best: (E,) expected return of an episode under the best policy for the hidden environment.
        episode_length: H.
        binary: whether every reward is 0 or 1.
        task_id: (E,) task of each problem, −1 for one-off tasks.
        env_id: the environment that shows these problems.
        made: the arguments of the distribution.
        device: where the player computed.
    """

    player: str
    n_parameters: int
    knows_the_problem: bool
    rewards: NDArray[np.float32]
    best: Array
    episode_length: int
    binary: bool
    task_id: NDArray[np.int64]
    env_id: str
    made: dict[str, Any]
    protocol: str
    seed: int
    wall_seconds: float
    device: str

    @cached_property
    def returns(self) -> Array:
        """(E, K) return of each episode."""
        episodes = self.rewards.reshape(len(self.rewards), -1, self.episode_length)
        total: Array = episodes.sum(2, dtype=np.float64)
        return total

    @property
    def regrets(self) -> Array:
        """(E, K) what the best policy is expected to earn beyond the return of each episode."""
        return self.best[:, None] - self.returns

    @property
    def reward(self) -> Interval:
        """(N,) mean reward at each step."""
        return self._mean(self.rewards, 1)

    @property
    def episode_return(self) -> Interval:
        """(K,) mean return of each episode."""
        return self._mean(self.returns, self.episode_length)

    @property
    def episode_regret(self) -> Interval:
        """(K,) mean regret of each episode."""
        return self._mean_difference(self.regrets, self.episode_length)

    @property
    def total_return(self) -> Interval:
        """The return of a whole problem."""
        return self._mean(self.returns.sum(1), self.rewards.shape[1])

    @property
    def total_regret(self) -> Interval:
        """The regret of a whole problem."""
        return self._mean_difference(self.regrets.sum(1), self.rewards.shape[1])

    @property
    def gain(self) -> Interval:
        """The return of the last episode minus that of the first: above 0 if the player adapts within a problem."""
        return self._mean_difference(self.returns[:, -1] - self.returns[:, 0], self.episode_length, step=1.0)

    def _mean(self, returns: Array | NDArray[np.float32], steps: int) -> Interval:
        """The mean over the problems of returns (E, …), each of so many steps."""
        if not self.binary:
            return mean_interval(returns, self.task_id)
        fraction = accuracy_interval(returns / steps, self.task_id, positions=steps)
        return Interval(*(steps * value for value in fraction))

    def _mean_difference(self, values: Array, steps: int, step: float = 0.0) -> Interval:
        """The mean over the problems of differences (E, …) of two returns of so many steps."""
        if not self.binary:
            return mean_interval(values, self.task_id)
        return mean_interval(values, self.task_id, step=step, bounds=(-steps, steps))

    def record(self, command: str = "") -> ReturnRecord:
        """Return the result as a record with rounded numbers, and with the command that the user typed.

        Raises:
            ValueError: there is one problem alone, which has no interval.
        """
        if len(self.rewards) == 1:
            raise ValueError("One problem has no interval: evaluate at least 2 problems.")
        return ReturnRecord(
            learner=self.player,
            env=self.env_id,
            env_kwargs=self.made,
            protocol=self.protocol,
            seed=self.seed,
            episodes=len(self.rewards),
            provenance=provenance(self.device, command),
            n_parameters=self.n_parameters,
            knows_the_problem=self.knows_the_problem,
            binary=self.binary,
            reward=Band(*map(_rounded, self.reward)),
            episode_return=Band(*map(_rounded, self.episode_return)),
            episode_regret=Band(*map(_rounded, self.episode_regret)),
            total_return=_estimate(self.total_return),
            total_regret=_estimate(self.total_regret),
            gain=_estimate(self.gain),
            returns=_rounded(self.returns.sum(1)),
            best_returns=_rounded(self.best * self.returns.shape[1]),
            task_id=None if (self.task_id < 0).all() else self.task_id.tolist(),
            wall_seconds=round(self.wall_seconds, 3),
            interval_method=METHOD,
            interval_note=few_note(self.task_id, len(self.rewards)).replace("episode", "problem"),
        )


def _rounded(values: ArrayLike) -> Any:
    return np.asarray(values, np.float64).round(DIGITS).tolist()


def _estimate(values: Interval) -> Estimate:
    return Estimate(*map(_rounded, values))
