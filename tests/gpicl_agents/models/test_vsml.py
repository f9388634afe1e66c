import torch
from model_checks import perturbed

from gpicl_agents.models.vsml import VSML


def test_vsml_treats_all_classes_alike():
    """A permutation of the labels permutes the logits, whatever the weights."""
    learner = perturbed(VSML(20, 4, size=4, message_size=3, input_rank=5), 0.3)
    x, y = torch.randn(2, 8, 20), torch.randint(4, (2, 8))
    permutation = torch.tensor([2, 0, 3, 1])
    permuted = learner.predict(x, permutation[y])
    assert torch.allclose(permuted[..., permutation], learner.predict(x, y), atol=1e-5)


def test_vsml_has_few_parameters_however_large_the_grid():
    assert VSML(20, 4, input_rank=5).n_parameters == VSML(784, 10, input_rank=64).n_parameters < 5000
