import pytest
import torch

from gpicl_agents.models.gru import GRU
from gpicl_agents.models.lstm import LSTM


@pytest.mark.parametrize("made", [LSTM, GRU])
def test_units_initially_remember_for_one_to_t_examples(made: type[LSTM] | type[GRU]):
    """Kept fraction per example: σ(log u) = u / (1 + u), u in [1, T]; an LSTM writes with what is left."""
    layers = made(20, 4, width=64, memory_length=50).layers
    bias = (layers.bias_ih_l0 + layers.bias_hh_l0).detach().view(-1, 64)
    lengths = bias[1].exp()
    assert 1 <= lengths.min() < 10 and 40 < lengths.max() <= 50
    others = bias[[0, 2]]
    if made is LSTM:
        torch.testing.assert_close(bias[0], -bias[1])
        others = bias[2:]
    assert not others.any()


def test_each_unit_keeps_its_fraction_of_the_cell_at_every_example():
    """Without input weights c decays by σ(log u) = u / (1 + u) an example, so that u is a time constant."""
    learner = LSTM(20, 4, width=16, memory_length=50)
    layers = learner.layers
    forget = layers.bias_hh_l0[16:32].exp()
    for weight in (layers.weight_ih_l0, layers.weight_hh_l0):
        torch.nn.init.zeros_(weight)
    tokens, (h, c) = torch.zeros(1, 5, 16), (torch.zeros(1, 1, 16), torch.ones(1, 1, 16))
    _, (_, kept) = learner.run(tokens, (h, c), tokens)
    torch.testing.assert_close(kept[0, 0], (forget / (1 + forget)) ** 5)
