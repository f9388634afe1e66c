"""What holds for every model, and how a model declares its arguments."""

import inspect
from typing import Any

import pytest
import torch
from model_checks import check_gradients, perturbed

from gpicl_agents.models.base import SequenceAgent
from gpicl_agents.models.delta_net import GatedDeltaNet
from gpicl_agents.models.gru import GRU
from gpicl_agents.models.kernel_transformer import KernelTransformer
from gpicl_agents.models.linear_attention import LinearAttention
from gpicl_agents.models.lstm import LSTM
from gpicl_agents.models.memoryless import MemorylessMLP
from gpicl_agents.models.outer_product_lstm import OuterProductLSTM
from gpicl_agents.models.state_space import SelectiveStateSpace
from gpicl_agents.models.tied_lstm import TiedLSTM
from gpicl_agents.models.transformer import Transformer
from gpicl_agents.models.vsml import VSML
from gpicl_envs.errors import construct
from gpicl_envs.learners.check import check_learner

MODELS = {
    "lstm": (LSTM, {"width": 8, "n_layers": 2, "input_rank": 6}),
    "lstm-paper": (LSTM, {"width": 8, "tokens": "paper", "input_rank": 0}),
    "gru": (GRU, {"width": 8, "n_layers": 2, "input_rank": 6, "n_projections": 2}),
    "outer-product": (OuterProductLSTM, {"width": 8, "n_heads": 2, "input_rank": 6}),
    "outer-product-rank": (
        OuterProductLSTM,
        {"width": 8, "n_heads": 2, "rank": 2, "input_rank": 6, "n_projections": 2},
    ),
    "tied-lstm": (TiedLSTM, {"width": 4, "n_units": 12, "input_rank": 6, "n_projections": 2}),
    "vsml": (VSML, {"size": 4, "message_size": 3, "input_rank": 5}),
    "memoryless": (MemorylessMLP, {"width": 8}),
}
each = pytest.mark.parametrize("model", MODELS)


def made(model: str) -> Any:
    model_class, arguments = MODELS[model]
    return perturbed(model_class(20, 4, **arguments), 0.3)


@each
def test_every_model_passes_the_check(model: str):
    check_learner(made(model), length=16)


@each
def test_models_without_attention_refuse_to_show_it(model: str):
    learner = made(model)
    with pytest.raises(ValueError, match=f"{learner.name} has no attention weights: give a Transformer"):
        learner.attention(torch.zeros(1, 3, 20), torch.zeros(1, 3, dtype=torch.int64))


@each
def test_the_first_prediction_is_uniform(model: str):
    model_class, arguments = MODELS[model]
    learner = model_class(20, 4, **arguments).eval()
    logits = learner.predict(torch.randn(2, 3, 20), torch.zeros(2, 3, dtype=torch.int64))
    assert torch.allclose(logits, logits[:1, :1, :1].expand_as(logits), atol=1e-6)


@each
def test_gradients_agree_with_finite_differences(model: str):
    x = torch.randn(2, 4, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    check_gradients(made(model).double(), x, torch.tensor([[0, 1, 2, 3], [3, 3, 1, 0]]))


@each
def test_the_arguments_make_the_same_model_again(model: str):
    learner = made(model)
    again = type(learner)(**learner.get_params())
    again.load_state_dict(learner.state_dict())
    x, y = torch.randn(1, 5, 20), torch.tensor([[0, 1, 2, 3, 0]])
    assert torch.equal(again.eval().predict(x, y), learner.predict(x, y))


@each
def test_the_state_has_the_size_that_it_reports_and_does_not_grow(model: str):
    learner = made(model)
    state = learner.start(1)
    for _ in range(5):
        _, state = learner.step(state, torch.randn(1, 20), torch.zeros(1, 4))
    previous = not (model == "lstm-paper")  # only paired tokens read the last input
    kept = count(state) - (0 if previous else state.previous.numel())
    assert learner.state_size(5) == learner.state_size(50) == kept


VALUES = {
    **MODELS,
    "transformer": (Transformer, {"width": 8, "n_heads": 2, "n_layers": 2, "n_projections": 2, "input_rank": 6}),
    "similarity": (Transformer, {"width": 8, "n_heads": 2, "similarity_bias": 5.0}),
    "query": (Transformer, {"width": 8, "n_heads": 2, "tokens": "query"}),
    "kernel": (KernelTransformer, {"width": 8, "n_heads": 2, "kernel_heads": 3}),
    "deltanet": (GatedDeltaNet, {"width": 8, "n_heads": 2}),
    "linear-attention": (LinearAttention, {"width": 8, "n_heads": 2}),
    "state-space": (SelectiveStateSpace, {"width": 8, "n_heads": 2}),
}
each_of_values = pytest.mark.parametrize("model", VALUES)


def of_values(model: str, **arguments: Any) -> Any:
    model_class, own = VALUES[model]
    return perturbed(model_class(20, 1, **own | arguments), 0.3)


@each_of_values
def test_every_model_of_values_passes_the_check(model: str):
    check_learner(of_values(model), length=16)


@each_of_values
def test_a_learner_of_values_that_knows_nothing_predicts_their_mean(model: str):
    model_class, own = VALUES[model]
    learner = model_class(20, 1, **own).eval()
    x, y = torch.randn(2, 1, 20), torch.ones(2, 1)
    assert torch.equal(learner.predict(x, y), torch.zeros(2, 1, 1))


@each_of_values
def test_values_are_predicted_in_units_of_their_scale(model: str):
    if model == "memoryless":
        return  # reads no values
    learner, x, y = of_values(model), torch.randn(2, 9, 20), torch.randn(2, 9)
    scaled = of_values(model, value_scale=4.0)
    predicted = learner.predict(x, y)
    assert torch.allclose(scaled.predict(x, 4 * y), 4 * predicted, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(learner.predict(x, 4 * y), 4 * predicted, atol=1e-3)


@each_of_values
def test_functions_of_the_norm_and_the_mean_of_the_inputs_can_be_learned(model: str):
    """Labels need neither, so they are taken out of the inputs."""
    learner, x, y = of_values(model), torch.randn(2, 9, 20), torch.randn(2, 9)
    for changed in (3 * x, x + 1):
        assert not torch.allclose(learner.predict(changed, y), learner.predict(x, y), atol=1e-3)


@each_of_values
def test_gradients_of_values_agree_with_finite_differences(model: str):
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(2, 4, 20, dtype=torch.float64, generator=generator)
    check_gradients(of_values(model).double(), x, torch.randn(2, 4, generator=generator).double())


def test_labels_have_no_scale():
    for model_class in (LSTM, VSML):
        with pytest.raises(ValueError, match="value_scale=2.0 is of real values, n_classes=1: leave it out for labels"):
            model_class(20, 4, value_scale=2.0)


def count(state: object) -> int:
    """Numbers in all tensors of a state."""
    if isinstance(state, torch.Tensor):
        return state.numel()
    if isinstance(state, tuple):
        return sum(map(count, state))
    return sum(map(count, vars(state).values())) if hasattr(state, "__dict__") else 0


SEQUENCE_MODELS: list[tuple[type[SequenceAgent], dict[str, Any]]] = [
    *((model, arguments) for model, arguments in MODELS.values() if issubclass(model, SequenceAgent)),
    *((model, {"width": 8, "n_heads": 2}) for model in (GatedDeltaNet, LinearAttention, SelectiveStateSpace)),
    (Transformer, {"width": 8, "n_heads": 2, "n_layers": 2}),
    (Transformer, {"width": 8, "n_heads": 2, "n_layers": 2, "tokens": "query"}),
    (Transformer, {"width": 8, "n_heads": 2, "n_layers": 2, "window": 3}),
    (Transformer, {"width": 8, "n_heads": 2, "n_layers": 2, "similarity_bias": 5.0, "n_projections": 1}),
]


@pytest.mark.parametrize(("model", "arguments"), SEQUENCE_MODELS, ids=str)
def test_layers_run_on_parts_of_an_episode_as_on_the_whole(model: type[SequenceAgent], arguments: dict):
    learner = perturbed(model(20, 4, **arguments), 0.3).double()
    rows = 3 * learner.n_projections
    directions = torch.nn.functional.normalize(torch.randn(3, 9, 20).double(), dim=2)
    h, feedback = torch.randn(rows, 9, learner.input_rank or 20).double(), torch.randn(rows, 9, 4).double()

    def run(start: int, end: int, memory: Any) -> tuple[torch.Tensor, Any]:
        before = torch.cat([torch.zeros_like(h[:, :1]), h], 1)
        tokens = learner.embed(h[:, start:end], before[:, start:end], feedback[:, start:end], start)
        return learner.run(tokens, memory, directions[:, start:end])

    with torch.no_grad():
        whole, _ = run(0, 9, learner.start_memory(rows))
        memory, parts = learner.start_memory(rows), []
        for start, end in ((0, 4), (4, 5), (5, 9)):
            hidden, memory = run(start, end, memory)
            parts.append(hidden)
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-9)


class Averaging(SequenceAgent):
    """Adds the mean of the tokens so far, times a factor."""

    width: int = 12
    factor: float = 2.0

    def build_layers(self) -> None:
        self.factors = torch.nn.Parameter(torch.full((self.width,), self.factor))

    def start_memory(self, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(batch, 1, self.width), torch.zeros(1)

    def run(self, tokens: torch.Tensor, memory: Any, directions: torch.Tensor) -> tuple[torch.Tensor, Any]:
        total, count = memory[0] + tokens.cumsum(1), memory[1] + torch.arange(1, tokens.shape[1] + 1)
        return tokens + self.factors * total / count[:, None], (total[:, -1:], count[-1:])


def test_annotated_attributes_are_the_arguments_with_those_of_the_bases():
    inherited = inspect.signature(SequenceAgent).parameters
    parameters = inspect.signature(Averaging).parameters
    assert list(parameters) == [*inherited, "factor"]
    assert parameters["width"].default == 12 and inherited["width"].default == 128
    positional = [name for name, parameter in parameters.items() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    assert positional == ["n_features", "n_classes"]
    learner = Averaging(20, 4, factor=3.0, n_projections=2, input_rank=8)
    assert learner.get_params() == {
        **{"n_features": 20, "n_classes": 4, "tokens": "paired", "width": 12, "input_rank": 8},
        **{
            "n_projections": 2,
            "normalize_inputs": True,
            "value_head": False,
            "continuous_actions": False,
            "value_scale": 1.0,
            "seed": 0,
            "factor": 3.0,
        },
    }
    assert (learner.factors == 3.0).all() and learner.name == "Averaging"
    check_learner(perturbed(learner), length=12)
    assert learner != Averaging(20, 4) and len({learner, learner}) == 1  # a module, not a value
    with pytest.raises(ValueError, match="unexpected keyword argument 'factr'. Did you mean 'factor'"):
        construct(Averaging, {"factr": 1.0})


def test_a_constructor_of_its_own_is_kept():
    class Narrow(Averaging):
        def __init__(self, n_features: int = 784, n_classes: int = 10) -> None:
            super().__init__(n_features, n_classes, width=6, input_rank=4)

    assert list(inspect.signature(Narrow).parameters) == ["n_features", "n_classes"]
    assert Narrow(20, 4).get_params() == {"n_features": 20, "n_classes": 4} and Narrow().width == 6


def test_arguments_can_be_fixed():
    """The kernel heads need what the Transformer leaves open."""
    removed = inspect.signature(Transformer).parameters.keys() - inspect.signature(KernelTransformer).parameters.keys()
    assert removed == {"tokens", "window", "max_length"} and KernelTransformer().tokens == "paired"
