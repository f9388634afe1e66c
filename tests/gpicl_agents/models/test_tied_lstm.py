import pytest
import torch

from gpicl_agents.models.lstm import LSTM
from gpicl_agents.models.tied_lstm import TiedLSTM


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
    outputs, (h, c) = learner.run(tokens, learner.start_memory(2), tokens)
    expected = torch.zeros(2, 6), torch.zeros(2, 6)
    for token in tokens.unbind(1):
        expected = cell(token, expected)
    assert torch.allclose(h[0], expected[0], atol=1e-6) and torch.allclose(c[0], expected[1], atol=1e-6)
    folded = (expected[0].view(2, 2, 3) * learner.get_buffer("sign_out")).sum(1)
    assert torch.allclose(outputs[:, -1], folded, atol=1e-6)


def test_the_units_of_tied_weights_are_a_multiple_of_the_width():
    with pytest.raises(ValueError, match="n_units=100 is not a multiple of width=64"):
        TiedLSTM(n_units=100)
