"""Value iteration: known answers."""

from itertools import product

import numpy as np
import torch

from gpicl_envs.rl.planning import plan
from gpicl_envs.rl.tabular_mdp import TabularMDP


def small(n: int = 4) -> tuple[np.ndarray, np.ndarray]:
    hidden = TabularMDP(n_states=2, n_actions=2, horizon=3).sample(n, seed=1).hidden
    return hidden["transitions"].double().numpy(), hidden["mean_rewards"].double().numpy()


def test_no_policy_is_better():
    """All 2 ** 6 policies of two states, two actions and three steps, each evaluated by unrolling."""
    for transitions, rewards in zip(*small(), strict=True):
        best = np.full(2, -np.inf)
        for choices in product(range(2), repeat=6):
            value = np.zeros(2)
            for actions in np.reshape(choices, (3, 2)):
                value = rewards[[0, 1], actions] + transitions[[0, 1], actions] @ value
            best = np.maximum(best, value)
        _, found = plan(torch.tensor(transitions)[None], torch.tensor(rewards)[None], 3)
        np.testing.assert_allclose(found[0], best, atol=1e-12)


def test_the_values_solve_the_linear_equations_of_the_policy():
    """(I − P) v = r over the pairs of step and state, which the policy makes a Markov chain."""
    made = TabularMDP(horizon=6)
    hidden = {name: value.double() for name, value in made.sample(3).hidden.items()}
    policy, value = plan(hidden["transitions"], hidden["mean_rewards"], 6)
    s = made.n_states
    for b in range(3):
        p, r = np.zeros((6 * s, 6 * s)), np.zeros(6 * s)
        for h, state in product(range(6), range(s)):
            action = policy[b, h, state]
            r[h * s + state] = hidden["mean_rewards"][b, state, action]
            if h < 5:
                p[h * s + state, (h + 1) * s : (h + 2) * s] = hidden["transitions"][b, state, action]
        np.testing.assert_allclose(np.linalg.solve(np.eye(6 * s) - p, r)[:s], value[b], atol=1e-9)


def test_autocast_changes_nothing():
    hidden = TabularMDP().sample(2).hidden
    _, value = plan(hidden["transitions"], hidden["mean_rewards"], 10)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(plan(hidden["transitions"], hidden["mean_rewards"], 10)[1], value)
