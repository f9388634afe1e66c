"""The loss of a learner on a batch: known answers."""

import pytest
import torch

from gpicl_agents.training.objective import Objective
from gpicl_envs import Learner


class Constant(Learner, torch.nn.Module):
    """Predicts the same everywhere."""

    predicts_values = True

    def __init__(self, *logits: float) -> None:
        super().__init__(2, len(logits))
        self.logits = torch.nn.Parameter(torch.tensor(logits))

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        y.zero_()  # whatever it does to its labels, the loss is of the true ones
        return self.logits.expand(*x.shape[:2], -1)


def test_the_loss_of_labels_is_their_mean_cross_entropy():
    y = torch.tensor([[0, 1, 1]])
    loss, right = Objective(Constant(0.0, torch.tensor(3.0).log().item()), "float32")(torch.zeros(1, 3, 2), y)
    expected = -(torch.tensor([0.25, 0.75, 0.75]).log()).mean()
    assert loss.item() == pytest.approx(expected.item()) and right.tolist() == [[False, True, True]]
    assert y.tolist() == [[0, 1, 1]]


def test_the_loss_of_values_is_in_units_of_their_variance():
    y = torch.tensor([[1.0, 3.0]])
    loss, better = Objective(Constant(2.0), "float32", variance=4.0)(torch.zeros(1, 2, 2), y)
    assert loss.item() == pytest.approx((1 + 1) / 2 / 4)
    assert better.tolist() == [[pytest.approx((1 - 1) / 4), pytest.approx((9 - 1) / 4)]]
