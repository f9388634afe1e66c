"""The state between two examples."""

import torch

from gpicl_agents.models.gru import GRU
from gpicl_agents.models.sequence_state import SequenceState, count_numbers


def test_numbers_are_counted_in_nested_tuples():
    assert count_numbers((torch.zeros(2, 3), [torch.zeros(4), (torch.zeros(1),)])) == 11


def test_a_model_advances_it_by_the_examples_that_it_reads():
    learner = GRU(5, 3, width=4)
    state = learner.start(2)
    assert isinstance(state, SequenceState) and state.n == 0
    after = learner.advance(state, torch.randn(2, 4, 5), torch.zeros(2, 4, 3))[1]
    assert after.n == 4 and after.previous.shape == (2, 1, 5) and state.n == 0
