"""The policy gradient of a roll-out, against sums over everything that could be sampled."""

from dataclasses import replace
from itertools import product

import pytest
import torch

from gpicl_agents.training.config import RewardConfig
from gpicl_agents.training.ppo import PolicyObjective, generalised_advantages, make_batch, returns
from gpicl_agents.training.roll_out import RollOut


def test_returns():
    rewards = torch.tensor([[1.0, 0.0, 2.0]])
    assert torch.allclose(returns(rewards, 0.5), torch.tensor([[1.5, 1.0, 2.0]]))
    assert torch.equal(returns(rewards, 0.0), rewards)


# The estimator summed over everything that could be sampled, against the gradient of the expected return.

EMPTY = torch.empty(0)
PLAIN = RewardConfig(entropy=0.0)


class Fixed(torch.nn.Module):
    """A policy whose logits are given, and a critic whose values are."""

    def __init__(
        self, logits: torch.Tensor, values: torch.Tensor | None = None, log_std: torch.Tensor | None = None
    ) -> None:
        super().__init__()
        self.logits, self.values, self.value_head, self.log_std = logits, values, values is not None, log_std

    def start(self, batch_size: int) -> None:
        return None

    def act_and_value(self, state, x: torch.Tensor, feedback: torch.Tensor):
        return self.logits, self.values, None


def gain_of(logits, actions, taken, advantages, **critic) -> torch.Tensor:
    """Minus the loss."""
    alive = torch.ones_like(actions, dtype=torch.bool)
    found = PolicyObjective(Fixed(logits, critic.get("values")), PLAIN)(
        EMPTY, EMPTY, actions, taken, advantages, critic.get("gained", EMPTY), alive, torch.tensor(0.0)
    )
    return -found[0]


def leave_one_out(rewards: torch.Tensor, discount: float) -> torch.Tensor:
    """As `_advantages`, before the division by the deviation, which only scales the batch's step."""
    gained = returns(rewards, discount)
    return gained - (gained.sum(0) - gained) / (len(gained) - 1)


def objective(logits: torch.Tensor, actions: torch.Tensor, advantages: torch.Tensor) -> torch.Tensor:
    taken = logits.detach().log_softmax(2).gather(2, actions[..., None])[..., 0]
    return gain_of(logits, actions, taken, advantages)


def played(rewards: torch.Tensor, values: torch.Tensor | None = None) -> RollOut:
    """A roll-out of which only rewards and values matter."""
    zeros = torch.zeros_like(rewards)
    return RollOut(EMPTY, EMPTY, zeros, rewards, zeros, zeros if values is None else values, zeros == 0)


def test_without_a_critic_advantages_are_the_leave_one_out_ones_up_to_one_scale():
    rewards = torch.rand(5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ratio = make_batch(played(rewards), False, PLAIN, 0.7).advantages / leave_one_out(rewards, 0.7)
    assert ratio.min() > 0 and torch.allclose(ratio, ratio.mean().expand_as(ratio), rtol=1e-5)


def test_generalised_advantages_are_the_sums_of_the_papers_equation():
    """Against the sum written out, for one problem that ends early and one that does not."""
    generator = torch.Generator().manual_seed(0)
    rewards, values = (torch.rand(2, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    alive = torch.arange(6)[None] < torch.tensor([[4], [6]])
    found = generalised_advantages(rewards * alive, values, alive, 0.9, 0.8)
    for row, length in enumerate((4, 6)):
        for n in range(length):
            deltas = [
                rewards[row, m] + (0.9 * values[row, m + 1] if m + 1 < length else 0.0) - values[row, m]
                for m in range(n, length)
            ]
            assert found[row, n].item() == pytest.approx(sum(0.72**i * delta for i, delta in enumerate(deltas)))


def test_a_critic_is_asked_for_returns_in_units_of_the_endless_one():
    """With λ = 1 its target is the discounted return itself, over 1 / (1 − γ)."""
    rewards = torch.rand(3, 5, generator=torch.Generator().manual_seed(0))
    values = torch.rand(3, 5, generator=torch.Generator().manual_seed(1))
    batch = make_batch(played(rewards, values), True, replace(PLAIN, gae_lambda=1.0), 0.75)
    assert torch.allclose(batch.returns, returns(rewards, 0.75) * 0.25, atol=1e-6)
    assert abs(batch.advantages.mean()) < 1e-6 and batch.advantages.std().item() == pytest.approx(1, abs=1e-3)


def test_the_critics_error_and_what_is_after_the_end_do_not_count_for_the_policy():
    logits = torch.zeros(2, 2, 3, requires_grad=True)
    values = torch.tensor([[1.0, 5.0], [2.0, 0.0]], requires_grad=True)
    gained, alive = torch.zeros(2, 2), torch.tensor([[True, False], [True, True]])
    actions = torch.zeros(2, 2, dtype=torch.int64)
    taken = torch.full((2, 2), 1 / 3).log()
    config = replace(PLAIN, value_weight=0.5)
    (loss,) = PolicyObjective(Fixed(logits, values), config)(
        EMPTY, EMPTY, actions, taken, torch.zeros(2, 2), gained, alive, torch.tensor(0.0)
    )
    assert loss.item() == pytest.approx(0.5 * (1 + 4 + 0) / 3)
    of_values, of_logits = torch.autograd.grad(loss, [values, logits])
    assert of_values[0, 1] == 0 and (of_logits == 0).all()


def test_the_gradient_is_unbiased():
    """Three episodes of one position, all 4³ joint actions: the gradient of the mean expected reward, to rounding."""
    logits = torch.randn(3, 1, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    y, total = torch.tensor([2, 0, 2])[:, None], torch.zeros(3, 1, 4, dtype=torch.float64)
    policy = logits.detach().log_softmax(2)
    for joint in product(range(4), repeat=3):
        actions = torch.tensor(joint)[:, None]
        chance = policy.gather(2, actions[..., None]).sum().exp()
        gain = objective(logits, actions, leave_one_out((actions == y).double(), 0.0))
        total += chance * torch.autograd.grad(gain, logits)[0]
    expected = logits.softmax(2).gather(2, y[..., None]).mean()
    assert torch.allclose(total, torch.autograd.grad(expected, logits)[0], atol=1e-12)


def test_bandit_returns_credit_an_action_with_what_it_led_to():
    """Two steps, the second policy depends on the first action: all pairs of episodes give the discounted gradient."""
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(3, generator=generator, dtype=torch.float64, requires_grad=True)
    second = torch.randn(3, 3, generator=generator, dtype=torch.float64, requires_grad=True)  # by the first action
    gamma, episodes, expected = 0.5, [], torch.zeros((), dtype=torch.float64)
    for a, b in product(range(3), repeat=2):
        rewards = torch.tensor([float(a == 1), float(b == 2)], dtype=torch.float64)
        log_chance = first.log_softmax(0)[a] + second.log_softmax(1)[a, b]
        episodes.append((a, b, rewards, log_chance.exp()))
        expected = expected + log_chance.exp() * (rewards[0] + gamma * rewards[1])
    total = torch.zeros(3, dtype=torch.float64)
    for (a, b, rewards, chance), (c, d, others, other_chance) in product(episodes, repeat=2):
        logits = torch.stack([torch.stack([first, second[a]]), torch.stack([first, second[c]])])
        advantages = leave_one_out(torch.stack([rewards, others]), gamma)
        gain = objective(logits, torch.tensor([[a, b], [c, d]]), advantages)
        weight = (chance * other_chance).detach()
        total += weight * torch.autograd.grad(gain, first, retain_graph=True)[0]
    truth = torch.autograd.grad(expected, first)[0] / 2  # the objective is a mean over 2 positions
    assert torch.allclose(total, truth, atol=1e-12) and truth.abs().max() > 1e-3


@pytest.mark.parametrize(("likelier", "moves"), [(1.0, False), (-1.0, True)])
def test_beyond_the_clip_nothing_more_is_gained(likelier: float, moves: bool):
    """Towards the rewarded action by more than 1 + ε: no gradient; away from it: the way back stays open."""
    logits = torch.tensor([[[likelier, 0.0]], [[likelier, 0.0]]], requires_grad=True)
    actions, taken = torch.tensor([[0], [1]]), torch.full((2, 1), 0.5).log()
    gain = gain_of(logits, actions, taken, torch.tensor([[1.0], [-1.0]]))
    assert bool(torch.autograd.grad(gain, logits)[0].any()) is moves


def test_the_gradient_of_real_actions_is_that_of_the_density():
    """At the policy that played: the score of a normal distribution times the advantage; the entropy is that of σ."""
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(2, 3, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    log_std = torch.randn(2, generator=generator, dtype=torch.float64, requires_grad=True)
    std = log_std.detach().exp()
    actions = mean.detach() + std * torch.randn(2, 3, 2, generator=generator, dtype=torch.float64)
    advantages = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    taken = torch.distributions.Normal(mean.detach(), std).log_prob(actions).sum(2)
    alive, weight = torch.ones(2, 3, dtype=torch.bool), torch.tensor(0.1, dtype=torch.float64)
    (loss,) = PolicyObjective(Fixed(mean, None, log_std), PLAIN)(
        EMPTY, EMPTY, actions, taken, advantages, EMPTY, alive, weight
    )
    of_mean, of_log_std = torch.autograd.grad(-loss, [mean, log_std])
    z = (actions - mean.detach()) / std
    assert torch.allclose(of_mean, advantages[..., None] * z / std / 6)
    assert torch.allclose(of_log_std, (advantages[..., None] * (z**2 - 1)).sum((0, 1)) / 6 + 0.1)
