import gymnasium
import pytest
import torch
from model_checks import check_attention, perturbed
from torch.nn.functional import cross_entropy

from gpicl_agents.models.kernel_transformer import KernelTransformer
from gpicl_agents.models.multi_kernel_transformer import MultiKernelTransformer
from gpicl_agents.training.config import RewardConfig
from gpicl_agents.training.reinforce import train_from_reward
from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.check import check_learner
from gpicl_envs.tasks.classification import TaskDistribution

KINDS = [{}, {"similarity_bias": 0.0}, {"n_projections": 2}, {"kernel_heads": 1}]


def made(**arguments) -> KernelTransformer:
    small = {"width": 16, "n_layers": 2, "n_heads": 2, "input_rank": 8, "kernel_heads": 3, "mlp_width": 32}
    return perturbed(KernelTransformer(20, 4, **(small | arguments)))


@pytest.mark.parametrize("arguments", KINDS, ids=str)
def test_every_form_passes_the_check(arguments: dict):
    check_learner(made(**arguments), length=16)


@pytest.mark.parametrize("model", [KernelTransformer, MultiKernelTransformer])
def test_the_attention_weights_are_those_of_the_fused_kernel(model: type[KernelTransformer]):
    learner = perturbed(model(20, 4, width=16, n_heads=2, input_rank=8, n_projections=2, kernel_heads=2))
    check_attention(learner, torch.randn(3, 7, 20), torch.randint(4, (3, 7)))


def test_repeated_inputs_survive():
    """`Random` shows the same inputs again and again: the kernel matrix is singular but for the noise."""
    learner = KernelTransformer(width=32, n_heads=2)
    episodes = TaskDistribution("Random").sample(4, 0, 0)
    logits = learner.predict(episodes.x, episodes.y)
    assert logits.isfinite().all()
    assert (logits.argmax(2) == episodes.y)[:, -20:].float().mean() > 0.9


def test_zero_inputs_are_finite():
    logits = made().predict(torch.zeros(2, 5, 20), torch.zeros(2, 5, dtype=torch.int64))
    assert logits.isfinite().all()


def test_gradients_agree_with_finite_differences():
    learner = made(n_layers=1, width=8).double()
    x = torch.randn(2, 5, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    y = torch.tensor([[0, 1, 2, 3, 0], [3, 3, 1, 0, 2]])

    def loss() -> torch.Tensor:
        return cross_entropy(learner.predict(x, y).flatten(0, 1), y.flatten())

    loss().backward()
    for name in ("log_gamma", "log_beta", "log_noise"):
        parameter = getattr(learner.ridge, name)
        with torch.no_grad():
            parameter[1] += 1e-6
            above = loss()
            parameter[1] -= 2e-6
            below = loss()
            parameter[1] += 1e-6
        assert parameter.grad[1].item() == pytest.approx(((above - below) / 2e-6).item(), abs=1e-6), name


def test_state_size_counts_what_step_keeps():
    learner = made()
    state, n = learner.start(1), 7
    for _ in range(n):
        _, state = learner.step(state, torch.randn(1, 20), torch.zeros(1, 4))
    kept = (
        sum(k.tensor.numel() + v.tensor.numel() for k, v in state.memory.cache) + state.memory.directions.tensor.numel()
    )
    kept += state.total.numel() + state.previous.numel()
    ridge = state.ridge
    kept += ridge.directions.tensor.numel() + ridge.log_norms.numel() + ridge.solved.numel() + ridge.prediction.numel()
    kept += learner.kernel_heads * n * (n + 1) // 2  # the triangle of the factor
    assert learner.state_size(n) == kept


def test_the_name_tells_that_a_rule_is_built_in():
    assert KernelTransformer().name == "transformer+kernel"
    with pytest.raises(ValueError, match="kernel_heads=0 is not allowed"):
        KernelTransformer(kernel_heads=0)


@pytest.mark.parametrize("model", [KernelTransformer, MultiKernelTransformer])
def test_it_is_no_policy(model: type[KernelTransformer]):
    """Rewards would train the Transformer without its kernels, which `predict` then adds."""
    learner = model(20, 4, width=16, n_heads=2, input_rank=8)
    venv = gymnasium.make_vec("GPICL-Digits-v0", num_envs=4, n_features=20, n_classes=4, length=8)
    with pytest.raises(ValueError, match="take a learner without kernels"):
        train_from_reward(learner, venv, RewardConfig(steps=1))
    with pytest.raises(ValueError, match="take a learner without kernels"):
        learner.act_and_value(learner.start(2), torch.zeros(2, 1, 20), torch.zeros(2, 1, 4))


def test_inputs_of_zeros_change_nothing_between_step_and_predict():
    """They have no direction: their cosine with themselves is taken as 1 in both."""
    learner = perturbed(KernelTransformer(8, 3, width=16, n_heads=2, kernel_heads=3, mlp_width=32, input_rank=8), 0.1)
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 10, 8, generator=generator), torch.randint(3, (2, 10), generator=generator)
    x[:, [3, 7]] = 0
    with torch.no_grad():
        assert torch.allclose(Learner.predict(learner, x, y), learner.predict(x, y), atol=1e-4)
