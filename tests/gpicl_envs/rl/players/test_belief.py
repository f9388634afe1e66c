"""The posterior of tabular MDPs."""

import pytest
import torch

from gpicl_envs.rl.players.belief import Belief
from gpicl_envs.rl.tabular_mdp import TabularMDP


def seen(x: list[int], action: list[int], reward: float, start: float) -> dict[str, torch.Tensor]:
    shown = {"x": [x], "action": [action], "reward": [[reward]], "start": [[start]]}
    return {name: torch.tensor(value).float() for name, value in shown.items()}


def test_it_counts_what_was_shown():
    """Two states: 0 → 1 by action 1 with reward 3, then the end of the episode by action 0 with reward 5."""
    belief = Belief.prior(1, 2, 2, torch.device("cpu"))
    belief = belief.after(torch.zeros(1, 2), seen([1, 0], [0, 0], 0.0, 1.0))
    assert (belief.alpha == 1).all() and (belief.mean_rewards == 1).all()  # the first step has taught nothing
    belief = belief.after(torch.tensor([[1.0, 0.0]]), seen([0, 1], [0, 1], 3.0, 0.0))
    belief = belief.after(torch.tensor([[0.0, 1.0]]), seen([1, 0], [1, 0], 5.0, 1.0))
    assert belief.alpha.tolist() == [[[[1, 1], [1, 2]], [[1, 1], [1, 1]]]]
    assert belief.mean_transitions[0, 0, 1].tolist() == pytest.approx([1 / 3, 2 / 3])
    assert belief.mean_rewards.tolist() == [[[1, 2], [3, 1]]]
    assert belief.n_rewards.tolist() == [[[1, 2], [2, 1]]]


def test_the_prior_is_the_distribution_of_the_problems():
    belief, hidden = Belief.prior(1, 4, 3, torch.device("cpu")), TabularMDP(n_states=4, n_actions=3).sample(2000).hidden
    assert torch.allclose(belief.mean_transitions[0], hidden["transitions"].mean(0), atol=0.02)
    assert torch.allclose(belief.mean_rewards[0], hidden["mean_rewards"].mean(0), atol=0.1)
