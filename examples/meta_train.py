"""Meta-train a small sequence model of your own on the vectorised environment: a GRU, with the project's trainer.

python examples/meta_train.py
A recurrent network of this size stays on the loss plateau for long: this shows how to train, not a strong agent.
"""

import gymnasium
import torch
from torch import nn
from torch.nn.functional import one_hot, pad

import gpicl_envs
from gpicl_agents.training.progress import Progress
from gpicl_agents.training.supervised import TrainConfig, train


class GRULearner(gpicl_envs.Learner, nn.Module):
    """Reads (x_n, y_{n−1}) and predicts y_n."""

    def __init__(self, n_features: int = 784, n_classes: int = 10, width: int = 64) -> None:
        super().__init__(n_features, n_classes)
        self.width = width
        self.cell = nn.GRU(n_features + n_classes, width, batch_first=True)
        self.read_out = nn.Linear(width, n_classes)

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K)."""
        previous = pad(one_hot(y, self.n_classes).float()[:, :-1], (0, 0, 1, 0))
        hidden, _ = self.cell(torch.cat([x, previous], dim=2))
        return self.read_out(hidden)

    def state_size(self, n_examples: int) -> int:
        """The hidden state."""
        return self.width


def report(progress: Progress) -> None:
    """Print the loss at every evaluation."""
    if progress.evaluated:
        print(f"step {progress.step}: loss {progress.loss:.2f}")


learner = GRULearner()
gpicl_envs.check_learner(learner)
venv = gymnasium.make_vec("GPICL-MNIST-v0", num_envs=16, n_tasks=4)  # four tasks: little enough to memorise
train(learner, venv, TrainConfig(steps=60, learning_rate=3e-3, warmup_steps=10, evaluate_every=20), report=report)
