"""What holds for every stack of mixers: see `MODELS`."""

from typing import Any

import pytest
import torch
from model_checks import check_gradients, perturbed

from gpicl_agents.models.delta_net import GatedDeltaNet
from gpicl_agents.models.layers import MixerAgent
from gpicl_agents.models.linear_attention import LinearAttention
from gpicl_agents.models.state_space import SelectiveStateSpace, StateSpaceMemory
from gpicl_envs.learners.check import check_learner

MODELS: list[tuple[type[MixerAgent], dict[str, Any]]] = [
    (LinearAttention, {}),
    (LinearAttention, {"feature_map": "elu"}),
    (GatedDeltaNet, {}),
    (GatedDeltaNet, {"gated": False}),
    (SelectiveStateSpace, {"state_width": 6}),
    (SelectiveStateSpace, {"state_width": 6, "expand": 1}),
]
FORMS: list[dict[str, Any]] = [{}, {"tokens": "paper"}, {"n_projections": 2}]
every_model = pytest.mark.parametrize(("model", "arguments"), MODELS, ids=str)


def made(model: type[MixerAgent], **arguments: Any) -> MixerAgent:
    sizes = {"width": 16, "n_layers": 2, "n_heads": 2, "input_rank": 8, "chunk": 5}
    return perturbed(model(20, 4, **(sizes | arguments)))


def episodes(length: int = 13, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, length, 20, generator=generator), torch.randint(4, (3, length), generator=generator)


@pytest.mark.parametrize("form", FORMS, ids=str)
@every_model
def test_every_model_passes_the_check(model: type[MixerAgent], arguments: dict, form: dict):
    """Causality, and step equal to predict, are among what this checks; the episode is three chunks and one more."""
    check_learner(made(model, **arguments, **form), length=16)


@every_model
def test_the_chunk_changes_no_prediction(model: type[MixerAgent], arguments: dict):
    x, y = episodes()
    expected = made(model, **arguments, chunk=13).double().predict(x.double(), y)
    for chunk in (1, 4, 100):
        predicted = made(model, **arguments, chunk=chunk).double().predict(x.double(), y)
        assert torch.allclose(predicted, expected, atol=1e-9), chunk


@every_model
def test_step_equals_predict_over_a_hundred_examples(model: type[MixerAgent], arguments: dict):
    learner = made(model, **arguments).double()
    x, y = episodes(100)
    labels = torch.nn.functional.one_hot(y, 4).double()
    state, rows = learner.start(3), []
    for n in range(100):
        logits, state = learner.step(state, x[:, n].double(), labels[:, n - 1] if n else torch.zeros(3, 4).double())
        rows.append(logits)
    assert torch.allclose(torch.stack(rows, 1), learner.predict(x.double(), y), atol=1e-9)


@every_model
def test_predictions_depend_on_the_first_label_and_input(model: type[MixerAgent], arguments: dict):
    learner, (x, y) = made(model, **arguments), episodes()
    before = learner.predict(x, y)[:, -1]
    other = y.clone()
    other[:, 0] = (y[:, 0] + 1) % 4
    assert (before - learner.predict(x, other)[:, -1]).abs().max() > 1e-3
    assert (before - learner.predict(torch.cat([x[:, :1].flip(2), x[:, 1:]], 1), y)[:, -1]).abs().max() > 1e-3


@every_model
def test_the_first_predictions_are_uniform(model: type[MixerAgent], arguments: dict):
    x, y = episodes()
    assert (model(20, 4, input_rank=8, **arguments).predict(x, y) == 0).all()


@every_model
def test_gradients_agree_with_finite_differences(model: type[MixerAgent], arguments: dict):
    x, y = episodes(5, seed=2)
    check_gradients(made(model, **arguments, width=8, n_layers=1, chunk=3).double(), x.double(), y, 1e-7)


def numbers(memory: torch.Tensor | StateSpaceMemory) -> int:
    if isinstance(memory, StateSpaceMemory):
        return memory.state.numel() + memory.recent.numel()
    return memory.numel()


@pytest.mark.parametrize("form", FORMS, ids=str)
@every_model
def test_state_size_counts_what_step_keeps_and_does_not_grow(model: type[MixerAgent], arguments: dict, form: dict):
    learner = made(model, **arguments, **form)
    state = learner.start(1)
    for _ in range(7):
        _, state = learner.step(state, torch.randn(1, 20), torch.zeros(1, 4))
    kept = sum(numbers(memory) for memory in state.memory) + state.total.numel()
    kept += 0 if learner.tokens == "paper" else state.previous.numel()
    assert learner.state_size(7) == learner.state_size(1000) == kept


@every_model
def test_arguments_and_weights_make_the_same_learner_again(model: type[MixerAgent], arguments: dict):
    learner = made(model, **arguments)
    again = model(**learner.get_params())
    assert again.get_params() == learner.get_params()
    again.load_state_dict(learner.state_dict())
    x, y = episodes()
    assert torch.equal(again.eval().predict(x, y), learner.predict(x, y))


@every_model
def test_the_seed_fixes_the_weights_and_leaves_the_global_stream_alone(model: type[MixerAgent], arguments: dict):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    a, b, c = (model(20, 4, input_rank=8, seed=seed, **arguments) for seed in (1, 1, 2))
    assert torch.rand(1) == expected
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a.embed_input.weight, c.embed_input.weight)


@pytest.mark.parametrize("model", [LinearAttention, GatedDeltaNet, SelectiveStateSpace])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tokens": "query"}, "Unknown tokens 'query'"),
        ({"width": 30, "n_heads": 4}, "width=30 cannot be split over n_heads=4"),
        ({"n_layers": 0}, "n_layers=0"),
        ({"mlp_width": 0}, "mlp_width=0"),
        ({"chunk": 0}, "chunk=0 is not allowed: give a whole number of at least 1"),
    ],
    ids=str,
)
def test_bad_arguments_say_what_is_allowed(model: type[MixerAgent], arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        model(**arguments)
