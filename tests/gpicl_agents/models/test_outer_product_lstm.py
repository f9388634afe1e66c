import pytest
import torch
from model_checks import perturbed
from torch.nn.functional import normalize

from gpicl_agents.models.outer_product_lstm import OuterProductLSTM


def test_the_outer_product_memory_follows_its_equations_token_by_token():
    """M_t = α_t M_{t−1} + β_t v_t k_tᵀ, two heads of four dimensions and rank two, gates away from their start."""
    learner = perturbed(OuterProductLSTM(20, 4, width=8, n_heads=2, rank=2, input_rank=6, n_projections=2), 0.3)
    learner.keep_gate.bias.data -= 6  # else α is nearly 1 and would not be seen
    tokens = torch.randn(3, 7, 8, generator=torch.Generator().manual_seed(4))
    outputs, (_, _, memory) = learner.run(tokens, learner.start_memory(3), tokens)
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
    tokens = torch.randn(1, 7, 8)
    _, (_, _, matrix) = small.run(tokens, small.start_memory(1), tokens)
    assert torch.linalg.matrix_rank(matrix[0, 0]) == 2


@pytest.mark.parametrize("rank", [3, 5])
def test_the_rank_must_divide_the_size_of_a_head(rank: int):
    with pytest.raises(ValueError, match=f"rank={rank} "):
        OuterProductLSTM(width=8, n_heads=2, rank=rank)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="width=9 cannot be split over n_heads=2"):
        OuterProductLSTM(width=9, n_heads=2)
