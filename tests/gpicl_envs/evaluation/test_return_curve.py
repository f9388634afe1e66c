"""Returns, regrets and gains of made-up rewards, and how often their intervals hold the truth."""

from dataclasses import replace

import numpy as np
import pytest

from gpicl_envs.evaluation.return_curve import ReturnCurve

REWARDS = np.array([[0, 1, 0, 1, 1, 1], [1, 0, 0, 0, 0, 1]], np.float32)  # two problems, three episodes of two steps
CURVE = ReturnCurve(
    player="a",
    n_parameters=0,
    knows_the_problem=False,
    rewards=REWARDS,
    best=np.array([2.0, 1.5]),
    episode_length=2,
    binary=True,
    task_id=np.array([-1, -1]),
    env_id="GPICL-Bandit-v0",
    made={"split": "test"},
    protocol="unseen-task",
    seed=0,
    wall_seconds=1.0,
    device="cpu",
)


def test_means_by_hand():
    assert CURVE.reward.mean.tolist() == [0.5, 0.5, 0, 0.5, 0.5, 1]
    assert CURVE.returns.tolist() == [[1, 1, 2], [1, 0, 1]]
    assert CURVE.episode_return.mean.tolist() == [1, 0.5, 1.5]
    assert CURVE.episode_regret.mean.tolist() == [0.75, 1.25, 0.25]
    assert (CURVE.total_return.mean, CURVE.total_regret.mean, CURVE.gain.mean) == (3, 2.25, 0.5)


def test_intervals_stay_within_what_rewards_of_0_and_1_allow():
    assert CURVE.reward.low.min() == 0 and CURVE.reward.high.max() == 1
    assert CURVE.total_return.low >= 0 and CURVE.total_return.high <= 6
    assert (CURVE.gain.low, CURVE.gain.high) == (-2, 2)
    real = replace(CURVE, binary=False)
    assert real.total_return.mean == 3 and real.gain.low < -2


def test_a_record_has_these_numbers():
    record = CURVE.record("gpicl evaluate-rl")
    assert record.returns == [4, 2] and record.best_returns == [6, 4.5] and record.task_id is None
    assert record.episode_regret.mean == [0.75, 1.25, 0.25] and record.first.mean == 1 and record.last.mean == 1.5
    assert record.gain.mean == 0.5 and record.provenance.command == "gpicl evaluate-rl"
    assert record.interval_note == "2 problems, fewer than 16, so the intervals are wide, and less sure than 95 %"
    with pytest.raises(ValueError, match="One problem has no interval: evaluate at least 2"):
        replace(CURVE, rewards=REWARDS[:1], best=CURVE.best[:1], task_id=CURVE.task_id[:1]).record()


def test_intervals_are_over_tasks_not_over_their_problems():
    """Ten problems of each of eight tasks that differ: as if there were eight."""
    generator = np.random.default_rng(0)
    levels = np.repeat(generator.random(8), 10)
    rewards = (generator.random((80, 6)) < levels[:, None]).astype(np.float32)
    made = replace(CURVE, rewards=rewards, best=np.ones(80), task_id=np.repeat(np.arange(8), 10))
    alone = replace(made, task_id=np.full(80, -1))
    widths = [curve.total_return.high - curve.total_return.low for curve in (made, alone)]
    assert widths[0] > 1.5 * widths[1]


@pytest.mark.parametrize("binary", [True, False])
def test_intervals_hold_the_truth_as_often_as_they_say(binary: bool):
    """Players of known gain and return on 200 problems, 400 times: 95 % within four standard errors of that."""
    generator, hits = np.random.default_rng(1), np.zeros(3)
    p = np.linspace(0.3, 0.8, 6)
    for _ in range(400):
        draws = generator.random((200, 6)) < p if binary else p + generator.normal(size=(200, 6))
        best = generator.random(200)
        made = replace(CURVE, rewards=draws.astype(np.float32), best=best, binary=binary, task_id=np.full(200, -1))
        truths = (p.sum(), 1.5 - p.sum(), p[4:].sum() - p[:2].sum())
        intervals = (made.total_return, made.total_regret, made.gain)
        hits += [interval.low <= truth <= interval.high for interval, truth in zip(intervals, truths, strict=True)]
    assert (np.abs(hits / 400 - 0.95) < 0.045).all(), hits / 400
