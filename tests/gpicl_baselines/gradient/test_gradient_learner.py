import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from gpicl_baselines.gradient.gradient_learner import GradientLearner
from gpicl_baselines.gradient.maml import MAML
from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.classification import TaskDistribution

SMALL = {"n_features": 6, "n_classes": 3}
VARIANTS = [
    {"optimizer": "sgd", "learning_rate": 1.0},
    {"optimizer": "adam"},
    {"optimizer": "adam", "hidden": 8},
    {"optimizer": "adam", "hidden": 8, "passes": 3},
]


def episodes(length: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(2, length, 6, generator=generator), torch.randint(3, (2, length), generator=generator)


def features(x: torch.Tensor) -> torch.Tensor:
    """What the learners see: centred by the running mean, of norm 1. (N, D)."""
    means = x.cumsum(0) / torch.arange(2, len(x) + 2)[:, None]
    return normalize(x - means, dim=1)


@pytest.mark.parametrize("arguments", VARIANTS, ids=str)
def test_gradient_learners_keep_the_protocol(arguments: dict):
    check_learner(GradientLearner(**SMALL, **arguments), length=8)


def test_online_sgd_is_a_plain_loop_of_autograd():
    """Without the bias this is the learner `sgd`; here the bias learns too."""
    x, y = episodes()
    logits = GradientLearner(**SMALL, optimizer="sgd", learning_rate=0.7).predict(x, y)
    for b in range(2):
        model, z = torch.nn.Linear(6, 3), features(x[b])
        torch.nn.init.zeros_(model.weight)
        torch.nn.init.zeros_(model.bias)
        optimizer = torch.optim.SGD(model.parameters(), 0.7)
        for n in range(5):
            answer = model(z[n])
            assert torch.allclose(answer, logits[b, n], atol=1e-5)
            optimizer.zero_grad()
            cross_entropy(answer[None], y[b, n : n + 1]).backward()
            optimizer.step()


def test_replay_with_adam_is_torch_s_adam_on_all_examples_seen():
    x, y = episodes()
    logits = GradientLearner(**SMALL, optimizer="adam", passes=4, learning_rate=0.05).predict(x, y)
    model, z = torch.nn.Linear(6, 3), features(x[0])
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.zeros_(model.bias)
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    for n in range(5):
        assert torch.allclose(model(z[n]), logits[0, n], atol=1e-4)
        for _ in range(4):
            optimizer.zero_grad()
            cross_entropy(model(z[: n + 1]), y[0, : n + 1]).backward()
            optimizer.step()


@pytest.mark.parametrize("update", ["second-order", "first-order", "reptile"])
@pytest.mark.parametrize("hidden", [None, 5])
def test_maml_keeps_the_protocol(update: str, hidden: int | None):
    learner = MAML(**SMALL, update=update, hidden=hidden, inner_rate=0.5)
    for parameter in learner.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    check_learner(learner, length=8)


@pytest.mark.parametrize("update", ["second-order", "first-order"])
def test_the_meta_gradient_is_the_one_written_out_by_hand(update: str):
    """Two examples: the loss at the second depends on the start through one inner step."""
    x, y = episodes(2)
    learner = MAML(**SMALL, update=update, inner_rate=0.9)
    with torch.no_grad():
        learner.initial["out"].copy_(torch.randn(3, 6, generator=torch.Generator().manual_seed(1)))
    cross_entropy(learner.predict(x, y)[:, 1], y[:, 1]).backward()
    expected = torch.zeros(3, 6)
    for b in range(2):
        z, start = features(x[b]), learner.initial["out"].detach().clone().requires_grad_()
        bias = torch.zeros(3, requires_grad=True)
        loss = cross_entropy((start @ z[0] + bias)[None], y[b, :1])
        slopes = torch.autograd.grad(loss, (start, bias), create_graph=update == "second-order")
        adapted, moved = start - 0.9 * slopes[0], bias - 0.009 * slopes[1]
        after = cross_entropy((adapted @ z[1] + moved)[None], y[b, 1:])
        expected += torch.autograd.grad(after, start)[0] / 2
    assert torch.allclose(learner.initial["out"].grad, expected, atol=1e-5)


def test_reptile_moves_towards_the_adapted_weights():
    x, y = episodes()
    learner = MAML(**SMALL, update="reptile", inner_rate=0.7)
    cross_entropy(learner.predict(x, y).flatten(0, 1), y.flatten()).backward()
    model = torch.nn.Linear(6, 3)
    adapted = torch.zeros(3, 6)
    for b in range(2):
        torch.nn.init.zeros_(model.weight)
        torch.nn.init.zeros_(model.bias)
        optimizer = torch.optim.SGD([{"params": [model.weight]}, {"params": [model.bias], "lr": 0.007}], 0.7)
        for n, z in enumerate(features(x[b])):
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


def test_the_fixed_classifier_knows_one_task_and_no_other():
    """The paper's frozen classifier: a memoryless network trained on a single task, whose weights never change."""
    import gymnasium

    from gpicl_agents.models.memoryless import MemorylessMLP
    from gpicl_agents.training.supervised import TrainConfig, train

    one = {"n_tasks": 1, "length": 20, "n_features": 64}
    learner = MemorylessMLP(64)
    venv = gymnasium.make_vec("GPICL-Digits-v0", num_envs=16, **one)
    train(learner, venv, TrainConfig(steps=150, learning_rate=3e-3, evaluate_every=0))
    seen = evaluate(learner, TaskDistribution("Digits", **one), episodes=50, protocol="seen-task")
    unseen = evaluate(learner, TaskDistribution("Digits", **one | {"n_tasks": None, "split": "test"}), episodes=50)
    assert seen.scores.mean() > 0.7 and unseen.scores.mean() == pytest.approx(0.1, abs=0.04)
