import pytest
import torch
from baseline_checks import SMALL, centred_features, small_episodes
from torch.nn.functional import cross_entropy

from gpicl_baselines.gradient.maml import MAML
from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.classification import TaskDistribution


@pytest.mark.parametrize("update", ["second-order", "first-order", "reptile"])
@pytest.mark.parametrize("hidden", [None, 5])
def test_maml_passes_the_check(update: str, hidden: int | None):
    learner = MAML(**SMALL, update=update, hidden=hidden, inner_rate=0.5)
    for parameter in learner.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    check_learner(learner, length=8)


@pytest.mark.parametrize("update", ["second-order", "first-order"])
def test_the_meta_gradient_is_the_one_written_out_by_hand(update: str):
    """Two examples: the loss at the second depends on the start through one inner step."""
    x, y = small_episodes(2)
    learner = MAML(**SMALL, update=update, inner_rate=0.9)
    with torch.no_grad():
        learner.initial["out"].copy_(torch.randn(3, 6, generator=torch.Generator().manual_seed(1)))
    cross_entropy(learner.predict(x, y)[:, 1], y[:, 1]).backward()
    expected = torch.zeros(3, 6)
    for b in range(2):
        z, start = centred_features(x[b]), learner.initial["out"].detach().clone().requires_grad_()
        bias = torch.zeros(3, requires_grad=True)
        loss = cross_entropy((start @ z[0] + bias)[None], y[b, :1])
        slopes = torch.autograd.grad(loss, (start, bias), create_graph=update == "second-order")
        adapted, moved = start - 0.9 * slopes[0], bias - 0.009 * slopes[1]
        after = cross_entropy((adapted @ z[1] + moved)[None], y[b, 1:])
        expected += torch.autograd.grad(after, start)[0] / 2
    assert torch.allclose(learner.initial["out"].grad, expected, atol=1e-5)


def test_reptile_moves_towards_the_adapted_weights():
    x, y = small_episodes()
    learner = MAML(**SMALL, update="reptile", inner_rate=0.7)
    cross_entropy(learner.predict(x, y).flatten(0, 1), y.flatten()).backward()
    model = torch.nn.Linear(6, 3)
    adapted = torch.zeros(3, 6)
    for b in range(2):
        torch.nn.init.zeros_(model.weight)
        torch.nn.init.zeros_(model.bias)
        optimizer = torch.optim.SGD([{"params": [model.weight]}, {"params": [model.bias], "lr": 0.007}], 0.7)
        for n, z in enumerate(centred_features(x[b])):
            optimizer.zero_grad()
            cross_entropy(model(z)[None], y[b, n : n + 1]).backward()
            optimizer.step()
        adapted += model.weight.detach() / 2
    assert torch.allclose(learner.initial["out"].grad, -adapted, atol=1e-5)
    assert all(rate.grad is None for rate in learner.log_rates.values())


def test_before_meta_training_a_linear_maml_is_online_gradient_descent():
    tasks = TaskDistribution("Digits", split="test", length=30)
    a, b = (evaluate(learner, tasks, episodes=24) for learner in (MAML(), make_learner("sgd")))
    assert abs(a.scores.mean() - b.scores.mean()) < 0.02
