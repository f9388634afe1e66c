"""Random MDPs: known distributions."""

import pytest
import torch

from gpicl_envs.rl.tabular_mdp import TabularMDP


def test_transitions_have_a_flat_dirichlet_distribution_and_rewards_a_normal_one():
    hidden = TabularMDP(n_states=6, n_actions=4).sample(1000).hidden
    p, mu = hidden["transitions"], hidden["mean_rewards"]
    assert p.shape == (1000, 6, 4, 6) and p.min() >= 0
    assert (p.cumsum(3)[..., -1] == 1).all()  # without any rounding
    # Mean 1/S, variance (S − 1) / (S² (S + 1)), and P(p > 1/2) = (1/2) ** (S − 1), the same in every place
    assert torch.allclose(p.mean((0, 1, 2)), torch.tensor(1 / 6), atol=0.004)
    assert torch.allclose(p.var((0, 1, 2)), torch.tensor(5 / (36 * 7)), atol=0.001)
    assert torch.allclose((p > 0.5).float().mean((0, 1, 2)), torch.tensor(1 / 32), atol=0.004)
    assert mu.mean().item() == pytest.approx(1, abs=0.03) and mu.std().item() == pytest.approx(1, abs=0.02)


def test_moves_and_rewards_are_as_the_model_says():
    made = TabularMDP(n_states=5, n_actions=3, horizon=100, n_episodes=60)
    problems = made.sample(2)
    state, action = torch.tensor([3, 0]), torch.tensor([2, 1])
    steps = [made.transition(problems, state, action, torch.full((2,), n)) for n in range(made.length)]
    moved, reward = torch.stack([step[0] for step in steps], 1), torch.stack([step[1] for step in steps], 1)
    for b in range(2):
        frequency = moved[b].bincount(minlength=5) / made.length
        assert torch.allclose(frequency, problems.hidden["transitions"][b, state[b], action[b]], atol=0.025)
    mean = problems.hidden["mean_rewards"][[0, 1], state, action]
    assert torch.allclose(reward.mean(1), mean, atol=0.055)
    assert torch.allclose(reward.std(1), torch.tensor(1.0), atol=0.04)


def test_episodes_begin_in_the_first_state():
    made = TabularMDP()
    assert made.first_state(made.sample(3)).tolist() == [0, 0, 0]
    assert made.observe(torch.tensor([0, 9])).tolist() == [[1.0] + [0.0] * 9, [0.0] * 9 + [1.0]]


def test_a_problem_of_one_step_is_worth_its_largest_mean_reward():
    made = TabularMDP(horizon=1)
    problems = made.sample(50)
    assert torch.equal(made.best_return(problems), problems.hidden["mean_rewards"][:, 0].amax(1))


def test_a_description_is_of_the_current_state():
    made = TabularMDP(n_actions=3)
    problems = made.sample(2)
    text = made.describe(problems, 1, 4)
    mean = problems.hidden["mean_rewards"][1, 4, 2]
    assert text.startswith("TabularMDP, in state 4 of 10; actions\n") and f"\n2: mean reward {mean:.2f}" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_states": 1}, "n_states=1.*bandit"),
        ({"n_actions": 1}, "n_actions=1.*nothing to learn"),
        ({"horizon": 0}, "horizon=0"),
        ({"n_episodes": 0}, "n_episodes=0"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        TabularMDP(**arguments)
