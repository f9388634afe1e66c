"""The estimator summed over everything that could be sampled, against the gradient of the expected return."""

from itertools import product

import gymnasium
import pytest
import torch

import gpicl_envs  # noqa: F401
from gpicl_agents.models.transformer import Transformer
from gpicl_agents.training.reinforce import RewardConfig, RollOut, _objective, returns, roll_out
from gpicl_envs.tasks.episodes import Episodes

EMPTY = torch.empty(0)
PLAIN = RewardConfig(entropy=0.0)


class Fixed:
    """A policy whose logits are given."""

    def __init__(self, logits: torch.Tensor) -> None:
        self.logits = logits

    def forward(self, x: torch.Tensor, feedback: torch.Tensor) -> torch.Tensor:
        return self.logits


def leave_one_out(rewards: torch.Tensor, discount: float) -> torch.Tensor:
    """As `_advantages`, before the division by the deviation, which only scales the batch's step."""
    gained = returns(rewards, discount)
    return gained - (gained.sum(0) - gained) / (len(gained) - 1)


def objective(logits: torch.Tensor, actions: torch.Tensor, advantages: torch.Tensor) -> torch.Tensor:
    taken = logits.detach().log_softmax(2).gather(2, actions[..., None])[..., 0]
    return _objective(Fixed(logits), RollOut(EMPTY, EMPTY, actions, EMPTY, taken), advantages, PLAIN, 1.0)


def test_the_advantages_are_the_leave_one_out_ones_up_to_one_scale():
    from gpicl_agents.training.reinforce import _advantages

    rewards = torch.rand(5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ratio = _advantages(rewards, 0.7) / leave_one_out(rewards, 0.7)
    assert ratio.min() > 0 and torch.allclose(ratio, ratio.mean().expand_as(ratio), rtol=1e-9)


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
    played = RollOut(EMPTY, EMPTY, torch.tensor([[0], [1]]), EMPTY, torch.full((2, 1), 0.5).log())
    gain = _objective(Fixed(logits), played, torch.tensor([[1.0], [-1.0]]), PLAIN, 1.0)
    assert bool(torch.autograd.grad(gain, logits)[0].any()) is moves


def test_labels_that_were_not_chosen_do_not_matter_to_bandits():
    """Wherever the action was wrong, the other wrong label gives the same roll-out bit for bit: no label leaks."""
    learner = Transformer(12, 3, width=16, n_heads=2, input_rank=6, similarity_bias=3.0)
    torch.nn.init.normal_(learner.read_out.weight, generator=torch.Generator().manual_seed(1))
    env = gymnasium.make_vec(
        "GPICL-Digits-v0", num_envs=16, feedback="reward", n_features=12, n_classes=3, length=9
    ).unwrapped
    env.reset(seed=1)

    def play() -> RollOut:
        with torch.random.fork_rng():
            torch.manual_seed(2)
            return roll_out(learner, env, 0)

    first, episodes = play(), env.sample_episodes(0)
    other = torch.where(first.actions == episodes.y, episodes.y, 3 - first.actions - episodes.y)
    assert not torch.equal(other, episodes.y)
    env.sample_episodes = lambda number: Episodes(episodes.x, other, episodes.index, episodes.tasks)
    second = play()
    for name in ("feedback", "actions", "log_probability", "rewards"):
        assert torch.equal(getattr(first, name), getattr(second, name)), name
