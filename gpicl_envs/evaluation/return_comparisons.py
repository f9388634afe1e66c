"""Players of in-context RL against each other, from their records alone: paired on the same problems."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gpicl_envs.evaluation.comparisons import SIGNIFICANCE, check_same_episodes, corrected, sign_flip_p
from gpicl_envs.evaluation.intervals import Interval, mean_interval
from gpicl_envs.evaluation.return_records import ReturnRecord


def compare_returns(record: ReturnRecord, reference: ReturnRecord) -> Interval:
    """Return the mean difference in the return of a problem, with its 95 % interval, paired on the same problems."""
    if not record.binary:
        return mean_interval(_difference(record, reference), record.task_id)
    steps = len(record.reward.mean)
    return mean_interval(_difference(record, reference), record.task_id, step=1.0, bounds=(-steps, steps))


def _difference(record: ReturnRecord, reference: ReturnRecord) -> NDArray[np.float64]:
    """(E,) difference in the return of each problem."""
    check_same_episodes(record, reference)
    return np.array(record.returns, np.float64) - np.array(reference.returns, np.float64)


def best_player(records: Sequence[ReturnRecord]) -> ReturnRecord | None:
    """Return the record of the highest return among the players that do not know the problem; None if all do."""
    candidates = [record for record in records if not record.knows_the_problem]
    return max(candidates, key=lambda record: record.goodness, default=None)


def leading_players(records: Sequence[ReturnRecord]) -> set[str]:
    """Return the best, and all that are not significantly worse: by the sign-flip test, corrected for all pairs."""
    top = best_player(records)
    if top is None:
        return set()
    others = [record for record in records if record is not top and not record.knows_the_problem]
    p_values = {record.learner: sign_flip_p(_difference(record, top), record.task_id) for record in others}
    return {top.learner} | {name for name, p in corrected(p_values).items() if p >= SIGNIFICANCE}
