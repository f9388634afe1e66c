"""`Oracle`: the best possible predictions, where they are known, from the hidden task."""

import numpy as np
import torch
from torch.nn.functional import one_hot

from gpicl_envs.datasets.dataset import as_tensor
from gpicl_envs.datasets.synthetic import CLUSTER_DISTANCE
from gpicl_envs.tasks.base import EpisodeDistribution
from gpicl_envs.tasks.classification import TaskDistribution
from gpicl_envs.tasks.episodes import Episodes

KNOWN = ("Clusters", "Random")
CERTAINTY = 20.0  # logit of the predicted label


class Oracle:
    """A player that knows the permutation and the base input of every example; it is not a learner.

    - Clusters: the Bayes rule on the base input, for equally likely classes. If each has a label of its own, it is the
      largest coordinate among the task's classes; with all of them, its accuracy is `Dataset.bayes_accuracy`.
    - Random: the label of the item, looked up.
    """

    name = "oracle"
    n_parameters = 0
    device = torch.device("cpu")

    def __init_subclass__(cls) -> None:
        raise TypeError("Oracle knows the hidden tasks, so no class may derive from it: derive from Learner.")

    def state_size(self, n_examples: int) -> int:
        """Return 0: it learns nothing."""
        return 0

    def covers(self, tasks: EpisodeDistribution) -> bool:
        """Return whether the best predictions are known."""
        plain = all(not getattr(tasks, name, None) for name in ("label_noise", "burstiness", "zipf", "query"))
        return tasks.name in KNOWN and plain

    def predict(self, episodes: Episodes, tasks: EpisodeDistribution) -> torch.Tensor:
        """Return logits (B, N, K) from the hidden tasks of the episodes."""
        if not self.covers(tasks):
            raise ValueError(f"The best predictions are known only for {' and '.join(KNOWN)}, not for {tasks.env_id}.")
        assert isinstance(tasks, TaskDistribution)
        hidden, index = episodes.tasks, episodes.index.cpu()
        classes, permutation, active = hidden.classes.cpu(), hidden.permutation.cpu(), hidden.active.cpu()
        segment = torch.from_numpy(tasks.segment_of(np.arange(tasks.length))).clamp(max=permutation.shape[1] - 1)
        labels = permutation[:, segment]  # (B, N, M) of each class number
        x, y = tasks.dataset.split(tasks.split)
        if tasks.name == "Clusters":
            means = as_tensor(x)[index].gather(2, classes.unsqueeze(1).expand_as(labels))
            score = means * (CLUSTER_DISTANCE / tasks.within_class_noise**2)
        else:
            score = CERTAINTY * (as_tensor(y)[index].unsqueeze(2) == classes.unsqueeze(1)).float()
        score = score.masked_fill(~active.unsqueeze(1), float("-inf"))
        odds = (score - score.amax(2, keepdim=True)).double().exp()
        likely = odds.new_zeros(*index.shape, tasks.n_classes).scatter_add(2, labels, odds).argmax(2)
        return CERTAINTY * one_hot(likely, tasks.n_classes).float()
