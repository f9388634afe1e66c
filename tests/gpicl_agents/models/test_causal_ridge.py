import numpy as np
import torch
from sklearn.kernel_ridge import KernelRidge
from torch.nn.functional import normalize, one_hot, pad

from gpicl_agents.models.causal_ridge import SMALLEST_NOISE, CausalRidge
from gpicl_envs.learners.registry import make_learner


def test_a_kernel_head_is_kernel_ridge_regression_at_every_position():
    """scikit-learn's, fitted to the examples before each."""
    ridge = CausalRidge(2, 4)
    generator = torch.Generator().manual_seed(3)
    x, y = torch.randn(1, 9, 20, generator=generator), torch.tensor([[0, 1, 2, 3, 0, 1, 1, 2, 0]])
    previous = pad(one_hot(y, 4).float()[:, :-1], (0, 0, 1, 0))
    predictions, _ = ridge(x, previous)
    assert (predictions[0, 0] == 0).all()
    units, norms = normalize(x[0], dim=1), x[0].norm(dim=1)
    for head in range(2):
        gamma, beta, noise = (p.exp()[head].item() for p in (ridge.log_gamma, ridge.log_beta, ridge.log_noise))
        apart = (norms[:, None].log() - norms.log()).square()
        kernel = (gamma * (units @ units.T - 1) - beta * apart).exp().detach().numpy()
        values = one_hot(y, 4)[0].numpy() - 0.25
        for n in range(1, 9):
            fitted = KernelRidge(alpha=noise + SMALLEST_NOISE, kernel="precomputed").fit(kernel[:n, :n], values[:n])
            expected = fitted.predict(kernel[n : n + 1, :n])[0]
            assert np.allclose(predictions[0, n, head].detach().numpy(), expected, atol=1e-4)


def test_a_head_of_values_can_be_linear_ridge_regression_at_every_position():
    """The best learner of linear functions: kernel x · x' / D, with the noise as its regularisation."""
    ridge = CausalRidge(2, 1)
    ridge.mixture.data[:] = torch.tensor([-30.0, 0.0])
    generator = torch.Generator().manual_seed(3)
    x, y = torch.randn(2, 9, 20, generator=generator), torch.randn(2, 9, generator=generator)
    predictions, _ = ridge(x, pad(y[:, :-1, None], (0, 0, 1, 0)))
    noise = ridge.log_noise.exp()[0].item() + SMALLEST_NOISE
    expected = make_learner("ridge", n_features=20, n_classes=1, regularization=noise).predict(x, y)
    assert torch.allclose(predictions[:, :, 0], expected, atol=1e-5)
    assert not torch.allclose(predictions[:, :, 1], expected, atol=0.05)
