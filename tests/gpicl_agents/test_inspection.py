"""Masses and ablations with known answers, and an induction head made by hand, which they find."""

import pytest
import torch
from induction_head import LAYER_OF_INDUCTION, LAYER_OF_PREVIOUS, episodes, induction_transformer

from gpicl_agents.inspection import ablated, previous_mass, same_class_mass, uniform_same_class_mass
from gpicl_agents.models.gru import GRU
from gpicl_agents.models.transformer import Transformer

LABELS = torch.tensor([[0, 1, 0, 0]])


def accuracy(learner: Transformer, x: torch.Tensor, y: torch.Tensor) -> float:
    return (learner.predict(x, y).argmax(2) == y)[:, -8:].float().mean().item()


def where(mass: torch.Tensor) -> tuple[int, int]:
    """The layer and head with the largest mean over episodes and the last positions of (B, layers, H, N)."""
    means = mass[..., -8:].mean((0, 3))
    return divmod(int(means.argmax()), means.shape[1])


def test_the_masses_find_the_head_of_induction_and_the_one_before_it():
    learner = induction_transformer()
    x, y = episodes(learner)
    weights = learner.attention(x, y)
    same, previous = same_class_mass(weights, y), previous_mass(weights, y)
    assert where(same) == LAYER_OF_INDUCTION and where(previous) == LAYER_OF_PREVIOUS
    layer, head = LAYER_OF_INDUCTION
    assert same[:, layer, head, -8:].mean() > 0.95
    assert previous[:, LAYER_OF_PREVIOUS[0], LAYER_OF_PREVIOUS[1]].mean() > 0.9
    others = same[:, 1 - layer, :, -8:].mean()
    assert abs(others - uniform_same_class_mass(y)[:, -8:].mean()) < 0.1


def test_without_either_of_these_heads_the_accuracy_is_that_of_chance_and_without_another_it_stays():
    learner = induction_transformer()
    x, y = episodes(learner)
    assert accuracy(learner, x, y) > 0.97
    for layer in range(2):
        for head in range(2):
            with ablated(learner, [(layer, head)]):
                found = accuracy(learner, x, y)
            assert found < 0.4 if (layer, head) in (LAYER_OF_INDUCTION, LAYER_OF_PREVIOUS) else found > 0.97
    assert accuracy(learner, x, y) > 0.97  # whole again


def test_masses_of_known_weights():
    """Token i holds label i − 1: of equal weights, those of positions 2 and 3 on labels 0, and 0 and 2."""
    equal = torch.ones(1, 1, 1, 4, 4).tril() / torch.arange(1, 5)[:, None]
    expected = torch.tensor([0, 0, 1 / 3, 2 / 4])
    assert torch.allclose(same_class_mass(equal, LABELS)[0, 0, 0], expected)
    assert torch.allclose(uniform_same_class_mass(LABELS)[0], expected)
    back = torch.zeros(4, 4)
    back[1:, :-1] = torch.eye(3)
    assert previous_mass(back[None, None, None], LABELS).tolist() == [[[[0, 1, 1, 1]]]]
    assert previous_mass(torch.eye(4)[None, None, None], LABELS).sum() == 0


def test_query_tokens_read_examples_that_are_whole():
    """2N tokens: the queries are the last N rows, and the n-th of the first N tokens holds example n − 1."""
    weights = torch.zeros(1, 1, 1, 8, 8)
    weights[..., 4:, :4] = torch.eye(4)
    assert previous_mass(weights, LABELS).tolist() == [[[[0, 1, 1, 1]]]]
    assert same_class_mass(weights, LABELS).tolist() == [[[[0, 0, 0, 1]]]]  # only example 2 is like the one after it


def test_several_heads_can_be_silenced_and_silencing_all_leaves_no_context():
    learner = induction_transformer()
    x, y = episodes(learner)
    with ablated(learner, [(layer, head) for layer in range(2) for head in range(2)]):
        changed = y.clone()
        changed[:, :-2] = (y[:, :-2] + 1) % learner.n_classes  # the last token holds the label before it
        assert torch.equal(learner.predict(x, y)[:, -1], learner.predict(x, changed)[:, -1])


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ([(2, 0)], "layer=2 is not allowed: give a whole number from 0 to 1"),
        ([(0, 2)], "head=2 is not allowed: give a whole number from 0 to 1"),
    ],
)
def test_heads_that_are_not_there(heads: list[tuple[int, int]], message: str):
    learner = induction_transformer()
    with pytest.raises(ValueError, match=message), ablated(learner, heads):
        pass
    with pytest.raises(ValueError, match="gru has no attention heads"), ablated(GRU(8, 4, width=8), [(0, 0)]):
        pass


def test_weights_of_other_labels():
    with pytest.raises(ValueError, match=r"weights of shape \(1, 1, 1, 4, 4\) are not of labels of shape \(1, 3\)"):
        same_class_mass(torch.zeros(1, 1, 1, 4, 4), LABELS[:, :3])
