"""LSTM, GRU, outer-product LSTM, VSML and the memoryless MLP: what holds for all, and what each is for."""

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from gpicl_agents.models.gru import GRU
from gpicl_agents.models.lstm import LSTM
from gpicl_agents.models.memoryless import MemorylessMLP
from gpicl_agents.models.outer_product_lstm import OuterProductLSTM
from gpicl_agents.models.tied_lstm import TiedLSTM
from gpicl_agents.models.vsml import VSML
from gpicl_envs.learners.base import Learner
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


def perturbed(model: str) -> Learner:
    """A small model away from its initial zeros, which would hide a leak."""
    made, arguments = MODELS[model]
    learner = made(20, 4, **arguments)
    generator = torch.Generator().manual_seed(0)
    for parameter in learner.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return learner.eval()


@each
def test_every_model_keeps_the_protocol(model: str):
    check_learner(perturbed(model), length=16)


@each
def test_the_first_guess_is_uniform(model: str):
    made, arguments = MODELS[model]
    learner = made(20, 4, **arguments).eval()
    logits = learner.predict(torch.randn(2, 3, 20), torch.zeros(2, 3, dtype=torch.int64))
    assert torch.allclose(logits, logits[:1, :1, :1].expand_as(logits), atol=1e-6)


@each
def test_gradients_agree_with_finite_differences(model: str):
    learner = perturbed(model).double()
    x = torch.randn(2, 4, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    y = torch.tensor([[0, 1, 2, 3], [3, 3, 1, 0]])

    def loss() -> torch.Tensor:
        return cross_entropy(learner.predict(x, y).flatten(0, 1), y.flatten())

    loss().backward()
    for name, parameter in learner.named_parameters():
        if not parameter.requires_grad:
            continue
        assert parameter.grad is not None, f"{name} is never used"
        place = tuple(torch.tensor(parameter.shape) // 2)
        with torch.no_grad():
            parameter[place] += 1e-6
            above = loss()
            parameter[place] -= 2e-6
            below = loss()
            parameter[place] += 1e-6
        assert parameter.grad[place].item() == pytest.approx(((above - below) / 2e-6).item(), abs=1e-6), name


@each
def test_the_arguments_make_the_same_model_again(model: str):
    learner = perturbed(model)
    again = type(learner)(**learner.get_params())
    again.load_state_dict(learner.state_dict())
    x, y = torch.randn(1, 5, 20), torch.tensor([[0, 1, 2, 3, 0]])
    assert torch.equal(again.eval().predict(x, y), learner.predict(x, y))


@each
def test_the_state_has_the_size_that_is_said_and_does_not_grow(model: str):
    learner = perturbed(model)
    state = learner.start(1)
    for _ in range(5):
        _, state = learner.step(state, torch.randn(1, 20), torch.zeros(1, 4))
    previous = not (model == "lstm-paper")  # only paired tokens read the last input
    kept = count(state) - (0 if previous else state.previous.numel())
    assert learner.state_size(5) == learner.state_size(50) == kept


def count(state: object) -> int:
    """Numbers in all tensors of a state."""
    if isinstance(state, torch.Tensor):
        return state.numel()
    if isinstance(state, tuple):
        return sum(map(count, state))
    return sum(map(count, vars(state).values())) if hasattr(state, "__dict__") else 0


def test_the_outer_product_memory_follows_its_equations_token_by_token():
    """M_t = α_t M_{t−1} + β_t v_t k_tᵀ, two heads of four dimensions and rank two, gates away from where they begin."""
    learner = perturbed("outer-product-rank")
    assert isinstance(learner, OuterProductLSTM)
    learner.keep_gate.bias.data -= 6  # else α is nearly 1 and would not be seen
    tokens = torch.randn(3, 7, 8, generator=torch.Generator().manual_seed(4))
    outputs, (_, _, memory) = learner.run(tokens, learner.start_memory(3))
    features = tokens + learner.controller(tokens)[0]
    normed = learner.norm_features(features)
    q, k, v = learner.queries_keys_values(normed).view(3, 7, 3, 2, 4).unbind(2)  # (rows, T, heads, d)
    write, keep = learner.write_gate(normed).sigmoid(), learner.keep_gate(normed).sigmoid()
    expected = torch.zeros(3, 2, 4, 2)
    for t in range(7):
        query, key = (normalize(part[:, t].view(3, 2, 2, 2).sum(3), dim=2) for part in (q, k))  # sums of d/R = 2
        written = write[:, t, :, None, None] * v[:, t, :, :, None] * key[:, :, None]
        expected = keep[:, t, :, None, None] * expected + written
        read = learner.norm_read((expected @ query[..., None])[..., 0]).flatten(1)
        assert torch.allclose(outputs[:, t], features[:, t] + learner.out(read), atol=1e-4)
    assert torch.allclose(memory.mT, expected, atol=1e-5)


def test_the_rank_of_the_memory_changes_the_state_and_not_the_parameters():
    small, large = (OuterProductLSTM(20, 4, width=8, rank=rank, input_rank=6) for rank in (2, 8))
    assert small.n_parameters == large.n_parameters
    assert large.state_size(9) - small.state_size(9) == 8 * 6
    _, (_, _, matrix) = small.run(torch.randn(1, 7, 8), small.start_memory(1))
    assert torch.linalg.matrix_rank(matrix[0, 0]) == 2


@pytest.mark.parametrize("rank", [3, 5])
def test_the_rank_must_divide_the_size_of_a_head(rank: int):
    with pytest.raises(ValueError, match=f"rank={rank} "):
        OuterProductLSTM(width=8, n_heads=2, rank=rank)


def test_an_lstm_of_tied_weights_has_the_parameters_of_one_as_wide_as_its_tokens():
    small, large = (TiedLSTM(20, 4, width=4, n_units=units, input_rank=6) for units in (4, 32))
    assert small.n_parameters == large.n_parameters == LSTM(20, 4, width=4, input_rank=6).n_parameters
    assert large.state_size(9) - small.state_size(9) == 2 * 28
    places = large.get_buffer("place_hh").flatten().bincount()
    assert torch.equal(places, torch.full((4 * 4 * 4,), 8 * 8))


def test_an_lstm_of_tied_weights_is_an_lstm():
    """Torch's own cell with the weights in their places does the same."""
    learner = TiedLSTM(20, 4, width=3, n_units=6, input_rank=6)
    cell = torch.nn.LSTMCell(3, 6)
    state = {
        f"{kind}_{matrix}": learner.get_buffer(f"sign_{matrix}")
        * learner.shared_weights.get_parameter(f"weight_{matrix}_l0").flatten()[learner.get_buffer(f"place_{matrix}")]
        if kind == "weight"
        else torch.cat(
            [b for b in learner.shared_weights.get_parameter(f"bias_{matrix}_l0").split(3) for _ in range(2)]
        )
        for matrix in ("ih", "hh")
        for kind in ("weight", "bias")
    }
    cell.load_state_dict(state)
    tokens = torch.randn(2, 5, 3)
    outputs, (h, c) = learner.run(tokens, learner.start_memory(2))
    expected = torch.zeros(2, 6), torch.zeros(2, 6)
    for token in tokens.unbind(1):
        expected = cell(token, expected)
    assert torch.allclose(h[0], expected[0], atol=1e-6) and torch.allclose(c[0], expected[1], atol=1e-6)
    folded = (expected[0].view(2, 2, 3) * learner.get_buffer("sign_out")).sum(1)
    assert torch.allclose(outputs[:, -1], folded, atol=1e-6)


def test_the_units_of_tied_weights_are_a_multiple_of_the_width():
    with pytest.raises(ValueError, match="n_units=100 is no multiple of width=64"):
        TiedLSTM(n_units=100)


def test_vsml_treats_all_classes_alike():
    """A permutation of the labels permutes the logits, whatever the weights."""
    learner = perturbed("vsml")
    x, y = torch.randn(2, 8, 20), torch.randint(4, (2, 8))
    permutation = torch.tensor([2, 0, 3, 1])
    permuted = learner.predict(x, permutation[y])
    assert torch.allclose(permuted[..., permutation], learner.predict(x, y), atol=1e-5)


def test_vsml_has_few_parameters_however_large_the_grid():
    assert VSML(20, 4, input_rank=5).n_parameters == VSML(784, 10, input_rank=64).n_parameters < 5000


def test_the_memoryless_mlp_answers_from_the_present_alone():
    learner = perturbed("memoryless")
    x, y = torch.randn(1, 6, 20), torch.tensor([[0, 1, 2, 3, 0, 1]])
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    assert torch.allclose(learner.predict(x[:, order], y)[0], learner.predict(x, (y + 1) % 4)[0, order], atol=1e-6)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="width=9 cannot be split over n_heads=2"):
        OuterProductLSTM(width=9, n_heads=2)


@pytest.mark.parametrize("made", [LSTM, GRU])
def test_units_begin_to_remember_for_one_to_t_examples(made: type[LSTM] | type[GRU]):
    """Kept share per example: σ(log u) = u / (1 + u), u in [1, T]; an LSTM writes with what is left."""
    layers = made(20, 4, width=64, memory_length=50).layers
    bias = (layers.bias_ih_l0 + layers.bias_hh_l0).detach().view(-1, 64)
    lengths = bias[1].exp()
    assert 1 <= lengths.min() < 10 and 40 < lengths.max() <= 50
    others = bias[[0, 2]]
    if made is LSTM:
        torch.testing.assert_close(bias[0], -bias[1])
        others = bias[2:]
    assert not others.any()
