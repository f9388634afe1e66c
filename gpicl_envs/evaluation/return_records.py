"""Records of in-context RL: what a player earned in E problems, as a line of JSON."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gpicl_envs.evaluation.jsonl import read_jsonl
from gpicl_envs.evaluation.records import ROUNDING, Band, Estimate, FailedRecord, Record, check_least, check_lengths

RETURN_SCHEMA = "gpicl-returns-1"
DIGITS = 5  # kept of each number


@dataclass(frozen=True, kw_only=True)
class ReturnRecord(Record):
    """What a player earned in E problems of K episodes, N steps in all.

    `episodes`, a field of all records, is E, the number of problems.

    Args:
        n_parameters: number of its meta-trained parameters.
        knows_the_problem: whether it was told the hidden problems.
        binary: whether every reward is 0 or 1.
        reward: (N,) at each step.
        episode_return: (K,) of each episode.
        episode_regret: (K,) what the best policy is expected to earn beyond that.
        total_return: of a whole problem.
        total_regret: of a whole problem.
        gain: the return of the last episode minus that of the first.
        returns: (E,) total return of each problem.
        best_returns: (E,) what the best policy is expected to earn in each problem.
        task_id: (E,) task of each problem, −1 for one-off tasks; None if all are one-off.
        wall_seconds: time that the player took.
        interval_method: of the means.
        interval_note: why the intervals are less sure than they say, if there are too few problems or tasks.

    Raises:
        ValueError: the numbers contradict each other.
    """

    schema: str = RETURN_SCHEMA
    status: Literal["ok"] = "ok"
    n_parameters: int
    knows_the_problem: bool
    binary: bool
    reward: Band
    episode_return: Band
    episode_regret: Band
    total_return: Estimate
    total_regret: Estimate
    gain: Estimate
    returns: list[float]
    best_returns: list[float]
    task_id: list[int] | None = None
    wall_seconds: float
    interval_method: str
    interval_note: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, 0, "n_parameters", "wall_seconds")
        check_lengths(self, self.episodes, "problems", "returns", "best_returns", "task_id")
        steps, episodes = len(self.reward.mean), len(self.episode_return.mean)
        if not 0 < episodes <= steps or steps % episodes:
            raise ValueError(f"reward holds {steps} steps, but episode_return {episodes} episodes, which cannot be")
        check_lengths(self.reward, steps, "steps", "mean", "low", "high")
        for band in (self.episode_return, self.episode_regret):
            check_lengths(band, episodes, "episodes", "mean", "low", "high")
        mean, best = sum(self.returns) / self.episodes, sum(self.best_returns) / self.episodes
        for name, expected in (("total_return", mean), ("total_regret", best - mean)):
            given = getattr(self, name).mean
            if not abs(given - expected) <= ROUNDING * max(1.0, abs(mean), abs(best)):
                raise ValueError(f"{name}={given}, but the mean of its problems is {expected:.5f}")

    @property
    def knows_the_task(self) -> bool:
        """Whether the player was told the hidden problems."""
        return self.knows_the_problem

    @property
    def goodness(self) -> float:
        """The mean return of a problem."""
        return self.total_return.mean

    @property
    def scores(self) -> list[float]:
        """The total returns."""
        return self.returns

    @property
    def size(self) -> tuple[Any, ...]:
        """The kind of problem and its arguments: a name can stand for another player in each."""
        return self.env, *sorted(self.env_kwargs.items())

    @property
    def first(self) -> Estimate:
        """The return of the first episode."""
        return Estimate(*(values[0] for values in self.episode_return))

    @property
    def last(self) -> Estimate:
        """The return of the last episode."""
        return Estimate(*(values[-1] for values in self.episode_return))


def holds_returns(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins with a record of in-context RL."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return f'"schema": "{RETURN_SCHEMA}"' in file.readline()
    except OSError:
        return False


def read_return_records(path: str | os.PathLike[str]) -> list[Record]:
    """Return the records of a file of in-context RL, at least one.

    Raises:
        ValueError: there is no such file, it is empty, or a line is not such a record; the message names the line.
    """
    if not Path(path).is_file():
        raise ValueError(f"There is no record file {path}. `gpicl evaluate-rl --out FOLDER` writes one.")
    records: list[Record] = read_jsonl(path, ReturnRecord | FailedRecord, RETURN_SCHEMA)
    if not records:
        raise ValueError(f"{path} holds no records: it is empty.")
    return records
