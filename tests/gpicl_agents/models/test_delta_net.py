"""What holds for every stack of mixers is in `test_layers.py`, for the delta rule in `test_fast_weights.py`."""

import pytest
import torch
from torch.nn.functional import normalize

from gpicl_agents.models.delta_net import DeltaMixer, GatedDeltaNet


@pytest.mark.parametrize("gated", [True, False])
def test_the_mixer_is_the_recurrence_of_the_paper(gated: bool):
    """S_t = S_{t−1} α_t (I − β_t k_t k_tᵀ) + β_t v_t k_tᵀ, o_t = S_t q_t: the paper's S is our Sᵀ."""
    torch.manual_seed(0)
    mixer = DeltaMixer(GatedDeltaNet(width=6, n_heads=1, gated=gated, chunk=4)).double()
    if mixer.keep is not None:
        torch.nn.init.normal_(mixer.keep.weight)
    tokens = torch.randn(1, 9, 6, dtype=torch.float64)
    memory, rows = torch.zeros(6, 6).double(), []
    for token in tokens[0]:
        q, k, v = mixer.queries_keys_values(token).chunk(3)
        q, k, beta = normalize(q, dim=0), normalize(k, dim=0), mixer.rate(token).sigmoid()
        alpha = 1.0 if mixer.keep is None else mixer.keep(token).sigmoid()
        memory = memory @ (alpha * (torch.eye(6) - beta * torch.outer(k, k))) + beta * torch.outer(v, k)
        rows.append(mixer.out(mixer.norm(memory @ q)))
    mixed, ours = mixer(tokens, mixer.start(1))
    assert torch.allclose(mixed[0], torch.stack(rows), atol=1e-9)
    assert torch.allclose(ours[0, 0], memory.T, atol=1e-9)


def test_the_gate_begins_nearly_open():
    """After a hundred examples a memory keeps at least nine tenths."""
    mixer = DeltaMixer(GatedDeltaNet(width=6, n_heads=2, chunk=4))
    assert mixer.keep is not None
    assert (mixer.keep(torch.randn(50, 6)).sigmoid() ** 100 > 0.9).all()


def test_the_state_is_heads_by_keys_by_values():
    assert GatedDeltaNet(20, 4, input_rank=8, width=16, n_heads=4, n_layers=3).memory_size(100) == 3 * 4 * 4 * 4


def test_names_tell_whether_it_forgets():
    assert GatedDeltaNet().name == "gated-deltanet"
    assert GatedDeltaNet(gated=False).name == "deltanet"
