"""What holds for every stack of mixers is in `test_layers.py`."""

import torch
from torch.nn.functional import conv1d, silu, softplus

from gpicl_agents.models.state_space import SelectiveStateSpace, StateSpaceMixer, convolve


def test_the_mixer_is_the_recurrence_of_the_module():
    """Token by token, head by head, with the convolution written out."""
    torch.manual_seed(0)
    mixer = StateSpaceMixer(SelectiveStateSpace(width=4, expand=2, state_width=3, n_heads=2, chunk=4)).double()
    for parameter in mixer.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape)
    tokens = torch.randn(1, 9, 4, dtype=torch.float64)
    states, rows = [torch.zeros(3, 4).double() for _ in range(2)], []
    inputs, times = mixer.project(tokens[0]).split([14, 2], 1)
    for t in range(9):
        window = [inputs[t - 3 + j] if t - 3 + j >= 0 else torch.zeros(14) for j in range(4)]
        v, b, c = sum(mixer.taps[j] * window[j] for j in range(4)).split([8, 3, 3])
        b, c = b / b.norm(), c / c.norm()
        reads = []
        for head in range(2):
            step = softplus(times[t, head] + mixer.time_bias[head])
            alpha = torch.exp(-mixer.log_rate[head].exp() * step)
            mine = silu(v[4 * head : 4 * head + 4])
            states[head] = alpha * states[head] + step * torch.outer(b, mine)
            reads.append(states[head].T @ c + mixer.skip[head] * mine)
        rows.append(mixer.out(mixer.norm(torch.cat(reads) * silu(mixer.gate(tokens[0, t])))))
    mixed, memory = mixer(tokens, mixer.start(1))
    assert torch.allclose(mixed[0], torch.stack(rows), atol=1e-9)
    assert torch.allclose(memory.state[0], torch.stack(states), atol=1e-9)
    assert torch.equal(memory.recent[0], inputs[-3:])


def test_it_begins_as_linear_attention_that_hardly_forgets():
    """Time steps of 1, heads that last from 100 to 1,000 examples, a token's own input, a constant gate."""
    mixer = StateSpaceMixer(SelectiveStateSpace(width=6, expand=2, state_width=3, n_heads=3, chunk=4))
    assert torch.allclose(softplus(mixer.time_bias), torch.ones(3))
    assert torch.allclose(1 / mixer.log_rate.exp(), torch.tensor([1000.0, 10**2.5, 100.0]), rtol=1e-3)
    values, tokens = torch.randn(2, 3 + 5, 18), torch.randn(2, 5, 6)
    assert torch.equal(convolve(values, mixer.taps), values[:, 3:])
    assert (mixer.gate(tokens) == 1).all()


def test_the_convolution_is_the_librarys():
    values, taps = torch.randn(2, 3 + 5, 7), torch.randn(4, 7)
    expected = conv1d(values.mT, taps.T[:, None], groups=7).mT
    assert torch.allclose(convolve(values, taps), expected, atol=1e-5)


def test_the_state_is_that_of_the_heads_and_of_the_convolution():
    learner = SelectiveStateSpace(20, 4, input_rank=8, width=16, n_heads=4, n_layers=3, expand=2, state_width=5)
    assert learner.memory_size(100) == 3 * (32 * 5 + 3 * (32 + 2 * 5))
    assert learner.name == "selective-ssm"
