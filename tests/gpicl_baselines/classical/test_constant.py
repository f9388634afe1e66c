import torch

from gpicl_envs.learners.registry import make_learner


def test_majority_is_the_rule_of_succession():
    y = torch.tensor([[1, 1, 0]])
    logits = make_learner("majority", n_features=1, n_classes=2).predict(torch.zeros(1, 3, 1), y)
    assert torch.allclose(logits.exp(), torch.tensor([[[1 / 2, 1 / 2], [1 / 3, 2 / 3], [1 / 4, 3 / 4]]]))


def test_uniform_is_chance_whatever_it_has_seen():
    logits = make_learner("uniform", n_features=3, n_classes=4).predict(torch.randn(2, 5, 3), torch.ones(2, 5).long())
    assert torch.equal(logits.softmax(2), torch.full((2, 5, 4), 0.25))
    values = make_learner("uniform", n_features=3, n_classes=1).predict(torch.randn(2, 5, 3), torch.ones(2, 5))
    assert torch.equal(values, torch.zeros(2, 5, 1))


def test_majority_of_values_is_the_mean_so_far():
    values = make_learner("majority", n_features=1, n_classes=1).predict(
        torch.zeros(1, 4, 1), torch.tensor([[2.0, 4.0, 9.0, 0.0]])
    )
    assert values[0, :, 0].tolist() == [0.0, 2.0, 3.0, 5.0]
