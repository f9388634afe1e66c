"""Players of tabular MDPs: known answers, and a plain second implementation."""

import numpy as np
import pytest
import torch
from playing import returns

from gpicl_envs.rl.bandit import Bandit
from gpicl_envs.rl.players.tabular_mdp import PSRL, BayesianExplorationBonus, EpsilonGreedyModel, KnownModel
from gpicl_envs.rl.tabular_mdp import TabularMDP

N = 200


def play(player) -> torch.Tensor:
    """(N, K) the returns in the same problems."""
    return returns(player, TabularMDP(), N, seed=700)


def psrl_in_plain_loops(made: TabularMDP, seed: int) -> float:
    """The return of PSRL in one problem, with NumPy's own generator."""
    problem, random = made.sample(1, seed=seed), np.random.default_rng(seed)
    p, mu = (problem.hidden[name][0].double().numpy() for name in ("transitions", "mean_rewards"))
    move, noise = (problem.noise[name][0].numpy() for name in ("move", "reward_noise"))
    s, a, h = made.n_states, made.n_actions, made.horizon
    seen, earned, times, total = np.ones((s, a, s)), np.zeros((s, a)), np.zeros((s, a)), 0.0
    for episode in range(made.n_episodes):
        drawn_p = np.array([[random.dirichlet(seen[i, j]) for j in range(a)] for i in range(s)])
        drawn_mu = random.normal((1 + earned) / (1 + times), 1 / np.sqrt(1 + times))
        values, actions = np.zeros(s), []
        for _ in range(h):
            q = drawn_mu + drawn_p @ values
            values, actions = q.max(1), [q.argmax(1), *actions]
        state = 0
        for step in range(h):
            action, n = actions[step][state], episode * h + step
            reward = mu[state, action] + noise[n]
            to = min(int(np.searchsorted(p[state, action].cumsum(), move[n], side="right")), s - 1)
            earned[state, action] += reward
            times[state, action] += 1
            if step < h - 1:  # the last state of an episode is not shown
                seen[state, action, to] += 1
            state, total = to, total + reward
    return total


def test_psrl_earns_what_plain_loops_earn():
    difference = play(PSRL()).sum(1) - torch.tensor([psrl_in_plain_loops(TabularMDP(), 700 + i) for i in range(N)])
    error = difference.std() / N**0.5
    assert difference.mean().abs() < 3 * error and error < 2


def test_the_regret_of_psrl_falls_from_episode_to_episode():
    regret = (play(KnownModel()) - play(PSRL())).mean(0)
    assert regret[0] > regret[2] > regret[5] > regret[9] > 0
    assert regret[0] > 1.5 * regret[9]


def test_who_knows_the_model_earns_the_best_return():
    made = TabularMDP()
    best = torch.cat([made.best_return(made.sample(1, seed=700 + i)) for i in range(N)])
    difference = play(KnownModel()).mean(1) - best
    assert difference.mean().abs() < 3 * difference.std() / N**0.5


def test_players_are_in_the_expected_order():
    psrl, greedy, bonus, best = (
        play(player).sum(1) for player in (PSRL(), EpsilonGreedyModel(), BayesianExplorationBonus(), KnownModel())
    )
    for worse, better in ((torch.full((N,), 100.0), psrl), (psrl, bonus), (greedy, bonus), (bonus, best)):
        difference = better - worse
        assert difference.mean() > 2 * difference.std() / N**0.5


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="beta=-1"):
        BayesianExplorationBonus(-1)
    with pytest.raises(ValueError, match="epsilon=2"):
        EpsilonGreedyModel(2)
    with pytest.raises(ValueError, match="psrl plays TabularMDP, not Bandit"):
        PSRL().start(Bandit(), 2, torch.Generator())
