from dataclasses import replace

import numpy as np
import pytest
from small_players import return_records

from gpicl_envs.evaluation.records import Estimate
from gpicl_envs.evaluation.return_comparisons import best_player, compare_returns, leading_players


@pytest.fixture(scope="module")
def records():
    return return_records(problems=200)


def test_a_difference_is_paired_on_the_problems(records):
    _, greedy, uniform = records
    mean, low, high = compare_returns(greedy, uniform)
    assert mean == pytest.approx(greedy.total_return.mean - uniform.total_return.mean, abs=1e-4) and low > 0
    _, uniform_low, uniform_high = uniform.total_return
    assert high - low < 1.5 * (uniform_high - uniform_low)  # that of independent means would be 1.4 times both
    assert [float(value) for value in compare_returns(greedy, greedy)[:1]] == [0.0]
    back = compare_returns(uniform, greedy)
    assert (float(back.low), float(back.high)) == pytest.approx((-high, -low))


def test_pairing_removes_what_problems_share(records):
    """Two players that differ by 1 in every problem: the interval is as good as a point."""
    _, greedy, _ = records
    shifted = [value + 1 for value in greedy.returns]
    mean, low, high = greedy.total_return
    other = replace(
        greedy,
        returns=shifted,
        total_return=Estimate(mean + 1, low + 1, high + 1),
        total_regret=Estimate(greedy.total_regret.mean - 1, 0.0, 9.0),
    )
    difference = compare_returns(other, greedy)
    assert float(difference.mean) == 1 and difference.high - difference.low < 0.1


def test_the_best_does_not_know_and_equals_lead_together(records):
    knows, greedy, uniform = records
    assert best_player(records) is greedy and best_player([knows]) is None
    assert leading_players(records) == {"greedy"}
    assert leading_players([knows]) == set()
    assert leading_players([*records, replace(greedy, learner="again")]) == {"greedy", "again"}
    noisy = np.random.default_rng(0).permutation(greedy.returns).tolist()  # the same mean, on other problems
    assert "noisy" in leading_players([*records, replace(greedy, learner="noisy", returns=noisy)])
