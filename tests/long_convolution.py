"""A learner that is causal but for rounding: gates and a long convolution by FFT, as in Hyena (Poli et al. 2023)."""

import torch

from gpicl_envs.learners.base import Learner, encoded


class LongConvolution(Learner, torch.nn.Module):
    """Convolves over the whole episode, zero-padded to twice its length, with a decaying kernel for each channel.

    Args:
        n_features: D.
        n_classes: K.
        width: channels.
        gain: of the logits, 0 for an answer that rounding alone decides.
    """

    def __init__(self, n_features: int = 784, n_classes: int = 10, width: int = 16, gain: float = 1.0) -> None:
        super().__init__(n_features, n_classes)
        self.width, self.gain = width, gain
        generator, n_in = torch.Generator().manual_seed(0), n_features + n_classes
        self.embed = torch.nn.Parameter(torch.randn(n_in, 3 * width, generator=generator) / n_in**0.5)
        self.head = torch.nn.Parameter(torch.randn(width, n_classes, generator=generator) / 4)
        self.decay = torch.nn.Parameter(torch.linspace(0.01, 1.0, width))

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K)."""
        n = x.shape[1]
        previous = encoded(y, self.n_classes).roll(1, dims=1)
        previous[:, 0] = 0.0
        gate, key, value = (torch.cat([x, previous], dim=2) @ self.embed).chunk(3, dim=2)
        kernel = torch.exp(-self.decay * torch.arange(n)[:, None])
        product = torch.fft.rfft(key * value, 2 * n, dim=1) * torch.fft.rfft(kernel, 2 * n, dim=0)
        convolved = torch.fft.irfft(product, 2 * n, dim=1)[:, :n]
        if not self.gain:  # the convolution minus its direct sum: what is left is its rounding
            lags = torch.arange(n)[:, None] - torch.arange(n)
            direct = torch.exp(-self.decay * lags[..., None]) * (lags >= 0)[..., None]
            return (convolved - torch.einsum("nmw,bmw->bnw", direct, key * value)) @ self.head
        return self.gain * (gate * convolved) @ self.head
