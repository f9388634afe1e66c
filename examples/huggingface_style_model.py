"""A PyTorch model with Hugging Face's calling convention, wrapped as a learner and meta-trained for 20 seconds.

python examples/huggingface_style_model.py
The model takes `inputs_embeds` and returns `last_hidden_state`, as transformers' GPT2Model does: yours goes in its
place.
"""

from types import SimpleNamespace
from typing import Any

import gymnasium
import torch
from torch import nn
from torch.nn.functional import normalize, one_hot

from gpicl_agents.training.progress import Progress
from gpicl_agents.training.supervised import TrainConfig, train
from gpicl_envs import Learner, TaskDistribution, make_learner
from gpicl_envs.evaluation.evaluate import evaluate_all
from gpicl_envs.report import compare


class DecoderModel(nn.Module):
    """Two pre-norm blocks of causal attention; what a `PreTrainedModel` would be here."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        make = nn.TransformerEncoderLayer
        blocks = [make(hidden_size, 4, 2 * hidden_size, 0.0, batch_first=True, norm_first=True) for _ in range(2)]
        self.blocks = nn.ModuleList(blocks)

    def forward(self, inputs_embeds: torch.Tensor) -> SimpleNamespace:
        """(B, T, H) → an object with last_hidden_state (B, T, H)."""
        mask = nn.Transformer.generate_square_subsequent_mask(inputs_embeds.shape[1])
        for block in self.blocks:
            inputs_embeds = block(inputs_embeds, src_mask=mask, is_causal=True)
        return SimpleNamespace(last_hidden_state=inputs_embeds)


class WrappedModel(Learner, nn.Module):
    """One token an example: the input, the input before, and the label of the input before."""

    def __init__(self, n_features: int = 784, n_classes: int = 10, hidden_size: int = 64) -> None:
        super().__init__(n_features, n_classes)
        self.hidden_size = hidden_size
        self.model = DecoderModel(hidden_size)
        self.embed = nn.Linear(2 * n_features + n_classes, hidden_size)
        self.head = nn.Linear(hidden_size, n_classes)

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K)."""
        x = normalize(x, dim=2) * 4
        before = torch.cat([x, one_hot(y, self.n_classes)], dim=2).roll(1, dims=1)
        before[:, 0] = 0
        return self.head(self.model(inputs_embeds=self.embed(torch.cat([x, before], 2))).last_hidden_state)


def main() -> None:
    """Meta-train on a small problem, and score it on tasks it has never seen."""
    torch.manual_seed(0)
    problem: dict[str, Any] = {"n_features": 16, "n_classes": 2, "length": 40}
    learner = WrappedModel(16, 2)
    venv = gymnasium.make_vec("GPICL-Clusters-v0", num_envs=64, **problem)
    config = TrainConfig(steps=100_000, learning_rate=1e-3, max_seconds=20, evaluate_every=0)

    def report(progress: Progress) -> None:
        if progress.step % 100 == 0:
            print(f"step {progress.step:4d}: {100 * progress.accuracy:.0f} % of the last ten labels", flush=True)

    train(learner, venv, config, report=report)
    baselines = [
        make_learner("majority", n_features=16, n_classes=2),
        make_learner("ridge", n_features=16, n_classes=2),
    ]
    tasks = TaskDistribution("Clusters", split="test", **problem)
    mine, *others = (curve.record() for curve in evaluate_all([learner, *baselines], tasks, episodes=256))
    print(f"{mine.learner}: {100 * mine.final.mean:.1f} % of the last ten labels of unseen tasks")
    for other in others:
        mean, low, high = (100 * value for value in compare(mine, other))
        print(f"  minus {other.learner}: {mean:+.1f} points, 95 % interval [{low:+.1f}, {high:+.1f}]")


if __name__ == "__main__":
    main()
