import pytest
import torch
from baseline_checks import mnist_episodes

from gpicl_baselines.classical.causal import centred
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.episodes import Episodes


@pytest.fixture(scope="module")
def episodes() -> Episodes:
    return mnist_episodes()


def test_sgd_is_autograds_gradient_step(episodes: Episodes):
    logits = make_learner("sgd", n_features=64, learning_rate=2.0).predict(episodes.x, episodes.y)
    features = torch.nn.functional.normalize(centred(episodes.x), dim=2)
    weights = torch.zeros(10, 64, requires_grad=True)
    for n in range(40):
        output = features[0, n] @ weights.T
        assert torch.allclose(logits[0, n], output, atol=1e-4)
        (gradient,) = torch.autograd.grad(torch.nn.functional.cross_entropy(output, episodes.y[0, n]), weights)
        weights = (weights - 2.0 * gradient).detach().requires_grad_()
