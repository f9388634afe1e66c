import torch
from model_checks import perturbed

from gpicl_agents.models.memoryless import MemorylessMLP


def test_the_memoryless_mlp_predicts_from_the_current_input_alone():
    learner = perturbed(MemorylessMLP(20, 4, width=8), 0.3)
    x, y = torch.randn(1, 6, 20), torch.tensor([[0, 1, 2, 3, 0, 1]])
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    assert torch.allclose(learner.predict(x[:, order], y)[0], learner.predict(x, (y + 1) % 4)[0, order], atol=1e-6)
