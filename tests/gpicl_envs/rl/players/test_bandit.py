"""Players of bandits: known answers, and another implementation."""

import numpy as np
import pytest
import torch
from playing import returns

from gpicl_envs.rl.bandit import Bandit
from gpicl_envs.rl.players.bandit import UCB1, BestArm, EpsilonGreedy, GittinsIndex, Pulls, ThompsonSampling
from gpicl_envs.rl.players.base import UniformPlayer
from gpicl_envs.rl.tabular_mdp import TabularMDP

N = 300


def play(player, made: Bandit | None = None) -> torch.Tensor:
    """(N,) the return of each of the same problems."""
    return returns(player, made or Bandit(), N, seed=500).sum(1)


def play_theirs(make_policy) -> torch.Tensor:
    """The same by a policy of river, problem by problem."""
    made, total = Bandit(), torch.zeros(N)
    for i in range(N):
        problem, policy = made.sample(1, seed=500 + i), make_policy(i)
        p, luck = problem.hidden["p"][0].tolist(), problem.noise["luck"][0].tolist()
        for n in range(made.length):
            arm = policy.pull(range(5))
            policy.update(arm, luck[n] < p[arm])
            total[i] += luck[n] < p[arm]
    return total


def assert_equal_on_average(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """The mean of the paired differences is within three standard errors of 0, and known to less than one pull."""
    difference = ours - theirs
    error = difference.std() / len(difference) ** 0.5
    assert difference.mean().abs() < 3 * error and error < 0.5


def test_the_best_arm_earns_its_expected_value():
    best = play(BestArm())
    assert best.mean().item() == pytest.approx(100 * 5 / 6, abs=4 * best.std().item() / N**0.5)


def test_thompson_sampling_earns_what_rivers_earns():
    river = pytest.importorskip("river", reason="river is not installed (pip install gpicl-envs[stream])")
    from river import bandit

    theirs = play_theirs(lambda i: bandit.ThompsonSampling(reward_obj=river.proba.Beta(1, 1), seed=i))
    assert_equal_on_average(play(ThompsonSampling()), theirs)


def test_thompson_sampling_chooses_by_the_posterior():
    """An arm that paid once, Beta(2, 1), is above a new one, Beta(1, 1), with probability 2/3."""
    none = torch.zeros(20000, 2)
    pulls = Pulls(none + torch.tensor([0.0, 1.0]), none, 10, torch.Generator().manual_seed(0))
    assert ThompsonSampling().choose(pulls).float().mean().item() == pytest.approx(2 / 3, abs=0.015)


def test_ucb1_earns_what_rivers_earns():
    pytest.importorskip("river", reason="river is not installed (pip install gpicl-envs[stream])")
    from river import bandit

    assert_equal_on_average(play(UCB1()), play_theirs(lambda i: bandit.UCB(delta=1, seed=i)))


def test_ucb1_follows_its_formula():
    """One problem in plain loops: arms 0 … 4, then the largest mean + √(2 ln n / n_j)."""
    made = Bandit(length=40)
    problem = made.sample(1, seed=3)
    p, luck = problem.hidden["p"][0].numpy(), problem.noise["luck"][0].numpy()
    wins, pulls, earned = np.zeros(5), np.zeros(5), 0
    for n in range(40):
        arm = n if n < 5 else int(np.argmax(wins / pulls + np.sqrt(2 * np.log(n) / pulls)))
        wins[arm] += luck[n] < p[arm]
        pulls[arm] += 1
        earned += luck[n] < p[arm]
    assert returns(UCB1(), made, 1, seed=3).sum() == earned


def test_players_are_in_the_expected_order():
    found = {player.name: play(player) for player in (UniformPlayer(), ThompsonSampling(), GittinsIndex(), BestArm())}
    for worse, better in (("uniform", "thompson-sampling"), ("thompson-sampling", "gittins"), ("gittins", "best")):
        difference = found[better] - found[worse]
        assert difference.mean() > 2 * difference.std() / N**0.5, (worse, better)


def test_the_gittins_index_is_the_best_choice_for_two_pulls():
    """With two arms and two pulls, win-stay lose-shift is the best: 1/2 + 1/2 (2/3 + 1/2) = 13/12."""
    made = Bandit(n_arms=2, length=2)
    earned = returns(GittinsIndex(), made, 20000).sum(1)
    assert earned.mean().item() == pytest.approx(13 / 12, abs=4 * earned.std().item() / 20000**0.5)


def test_epsilon_is_the_fraction_of_exploration():
    """All of it is uniform play, and earns half; some of it costs as much of the difference once the arms are known."""
    assert play(EpsilonGreedy(1.0)).mean().item() == pytest.approx(50, abs=3)
    assert play(EpsilonGreedy(0.1)).mean() > play(EpsilonGreedy(0.5)).mean() > play(EpsilonGreedy(1.0)).mean()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EpsilonGreedy(1.5), "epsilon=1.5"),
        (lambda: UCB1(-1.0), "bonus=-1.0"),
        (lambda: UCB1().start(TabularMDP(), 2, torch.Generator()), "ucb1 plays Bandit, not TabularMDP"),
        (lambda: GittinsIndex().start(Bandit(length=1000), 2, torch.Generator()), "plays 200 pulls at most, not 1000"),
    ],
)
def test_bad_input_is_refused(make, message: str):
    with pytest.raises(ValueError, match=message):
        make()
