"""k nearest neighbours (Cover and Hart 1967) among the previous examples."""

import torch
from torch.nn.functional import normalize

from gpicl_envs.errors import check_choice, check_integer
from gpicl_envs.learners.base import Learner, encoded

METRICS = ("cosine", "euclidean")


class KNearestNeighbors(Learner):
    """Vote of the k nearest examples so far: log((votes_c + 1/K) / (k + 1)); for regression, the mean of their values.

    Args:
        k: neighbours that vote; all examples as long as fewer have been seen.
        metric: `"cosine"` or `"euclidean"`.
    """

    predicts_values = True

    def __init__(self, n_features: int = 784, n_classes: int = 10, k: int = 1, metric: str = "cosine") -> None:
        super().__init__(n_features, n_classes)
        self.k = check_integer("k", k, 1)
        self.metric = check_choice("metric", metric, METRICS)

    @property
    def name(self) -> str:
        """Such as `1-nn-cosine`."""
        return f"{self.k}-nn-{self.metric}"

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K)."""
        n = x.shape[1]
        closeness = self._closeness(x).masked_fill(torch.ones(n, n, device=x.device).triu().bool(), -torch.inf)
        nearest = closeness.topk(min(self.k, n), dim=2)
        labels = y.gather(1, nearest.indices.flatten(1)).view(nearest.indices.shape)
        if self.n_classes == 1:
            known = nearest.values.isfinite()
            return (labels * known).sum(2, keepdim=True) / known.sum(2, keepdim=True).clamp_min(1)
        votes = (encoded(labels, self.n_classes) * nearest.values.isfinite().unsqueeze(3)).sum(2)
        return ((votes + 1 / self.n_classes) / (votes.sum(2, keepdim=True) + 1)).log()

    def _closeness(self, x: torch.Tensor) -> torch.Tensor:
        """(B, N, D) → (B, N, N), larger for nearer inputs."""
        if self.metric == "cosine":
            unit = normalize(x, dim=2)
            return torch.bmm(unit, unit.mT)
        norms = x.square().sum(2)
        return 2 * torch.bmm(x, x.mT) - norms.unsqueeze(1)  # −|x_n − x_i|² + |x_n|²: the same order of the i
