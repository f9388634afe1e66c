import pytest
import torch
from baseline_checks import SMALL, centred_features, small_episodes
from torch.nn.functional import cross_entropy

from gpicl_baselines.gradient.gradient_learner import GradientLearner
from gpicl_envs.learners.check import check_learner

VARIANTS = [
    {"optimizer": "sgd", "learning_rate": 1.0},
    {"optimizer": "adam"},
    {"optimizer": "adam", "hidden": 8},
    {"optimizer": "adam", "hidden": 8, "passes": 3},
]


@pytest.mark.parametrize("arguments", VARIANTS, ids=str)
def test_gradient_learners_pass_the_check(arguments: dict):
    check_learner(GradientLearner(**SMALL, **arguments), length=8)


def test_online_sgd_is_a_plain_loop_of_autograd():
    """Without the bias this is the learner `sgd`; here the bias learns too."""
    x, y = small_episodes()
    logits = GradientLearner(**SMALL, optimizer="sgd", learning_rate=0.7).predict(x, y)
    for b in range(2):
        model, z = torch.nn.Linear(6, 3), centred_features(x[b])
        torch.nn.init.zeros_(model.weight)
        torch.nn.init.zeros_(model.bias)
        optimizer = torch.optim.SGD(model.parameters(), 0.7)
        for n in range(5):
            logits_n = model(z[n])
            assert torch.allclose(logits_n, logits[b, n], atol=1e-5)
            optimizer.zero_grad()
            cross_entropy(logits_n[None], y[b, n : n + 1]).backward()
            optimizer.step()


def test_replay_with_adam_is_torch_s_adam_on_all_examples_seen():
    x, y = small_episodes()
    logits = GradientLearner(**SMALL, optimizer="adam", passes=4, learning_rate=0.05).predict(x, y)
    model, z = torch.nn.Linear(6, 3), centred_features(x[0])
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.zeros_(model.bias)
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    for n in range(5):
        assert torch.allclose(model(z[n]), logits[0, n], atol=1e-4)
        for _ in range(4):
            optimizer.zero_grad()
            cross_entropy(model(z[: n + 1]), y[0, : n + 1]).backward()
            optimizer.step()
