"""`Oracle`: the best possible predictions, where they are known, from the hidden task."""

import torch
from torch.nn.functional import one_hot

from gpicl_envs.datasets.dataset import as_tensor
from gpicl_envs.sampling.labels import apply_permutations
from gpicl_envs.tasks.base import EpisodeDistribution
from gpicl_envs.tasks.episodes import Episodes

KNOWN = ("Clusters", "Random")
CERTAINTY = 20.0  # logit of the predicted label


class Oracle:
    """A player that knows the permutation and the base input of every example; it is not a learner.

    - Clusters: the Bayes rule on the base input, its largest coordinate, with accuracy `Dataset.bayes_accuracy`.
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
        return tasks.name in KNOWN and not getattr(tasks, "label_noise", 0)

    def predict(self, episodes: Episodes, tasks: EpisodeDistribution) -> torch.Tensor:
        """Return logits (B, N, K) from the hidden tasks of the episodes."""
        if not self.covers(tasks):
            raise ValueError(f"The best predictions are known only for {' and '.join(KNOWN)}, not for {tasks.env_id}.")
        x, y = tasks.dataset.split(tasks.split)  # type: ignore[attr-defined]
        index = episodes.index.cpu()
        n_base = tasks.dataset.n_classes  # type: ignore[attr-defined]
        if tasks.name == "Clusters":
            base = as_tensor(x)[:, :n_base][index].argmax(2)
        else:
            base = as_tensor(y)[index]
        classes, permutation = episodes.tasks.classes.cpu(), episodes.tasks.permutation.cpu()  # (B, K), (B, S, K)
        number = (base.unsqueeze(2) == classes.unsqueeze(1)).int().argmax(2)  # class number of the task
        label = apply_permutations(permutation, number, tasks.segments())
        return CERTAINTY * one_hot(label, tasks.n_classes).float()
