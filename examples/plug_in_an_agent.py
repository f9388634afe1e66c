"""Plug in a learner of your own: ten lines, checked for cheating, and compared on the same episodes as the baselines.

python examples/plug_in_an_agent.py
The command line finds it too: cd examples && gpicl evaluate --learners plug_in_an_agent:SoftNeighbors knn centroid
"""

import torch
from torch.nn.functional import normalize, one_hot

from gpicl_envs import Learner, TaskDistribution, check_learner, make_learner
from gpicl_envs.evaluation.evaluate import evaluate_all
from gpicl_envs.report import compare


class SoftNeighbors(Learner):
    """Every example before votes for its label, with weight exp(20 · cosine)."""

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K); row n reads the examples before n only."""
        unit = normalize(x, dim=2)
        weights = (20 * unit @ unit.mT).exp().tril(-1)
        return (weights @ one_hot(y, self.n_classes).float() + 1e-3).log()


def main() -> None:
    """Check it, then score it beside two baselines."""
    learners = [SoftNeighbors(), make_learner("knn"), make_learner("centroid")]
    check_learner(learners[0])
    tasks = TaskDistribution("MNIST", split="test")
    mine, *others = (curve.record() for curve in evaluate_all(learners, tasks, episodes=256))
    print(f"{mine.learner}: {100 * mine.final.mean:.1f} % of the last ten labels of unseen tasks")
    for other in others:
        mean, low, high = (100 * value for value in compare(mine, other))
        print(f"  minus {other.learner}: {mean:+.1f} points, 95 % interval [{low:+.1f}, {high:+.1f}]")


if __name__ == "__main__":
    main()
