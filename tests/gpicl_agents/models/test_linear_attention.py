"""What holds for every stack of mixers is in `test_layers.py`."""

import pytest
import torch
from torch.nn.functional import elu

from gpicl_agents.models.linear_attention import LinearAttention, LinearAttentionMixer


def test_the_papers_feature_map_is_attention_with_a_kernel_for_weights():
    """Equation 9 of the paper, over all tokens up to each: Σ φ(q)·φ(k_i) v_i / Σ φ(q)·φ(k_i)."""
    torch.manual_seed(0)
    mixer = LinearAttentionMixer(LinearAttention(width=6, n_heads=1, feature_map="elu", chunk=4)).double()
    tokens = torch.randn(2, 9, 6, dtype=torch.float64)
    q, k, v = mixer.queries_keys_values(tokens).chunk(3, 2)
    weights = ((elu(q) + 1) @ (elu(k) + 1).mT).tril()
    expected = mixer.out(weights / weights.sum(2, keepdim=True) @ v)
    assert torch.allclose(mixer(tokens, mixer.start(2))[0], expected, atol=1e-12)


def test_weights_of_unit_norm_are_cosines():
    """One head reads Σ cos(q, k_i) v_i, then normalised."""
    torch.manual_seed(0)
    mixer = LinearAttentionMixer(LinearAttention(width=6, n_heads=1, chunk=4)).double()
    tokens = torch.randn(2, 9, 6, dtype=torch.float64)
    q, k, v = mixer.queries_keys_values(tokens).chunk(3, 2)
    cosines = torch.cosine_similarity(q[:, :, None], k[:, None], dim=3).tril()
    expected = mixer.out(mixer.norm(cosines @ v))
    assert torch.allclose(mixer(tokens, mixer.start(2))[0], expected, atol=1e-9)


def test_the_state_is_heads_by_keys_by_values():
    learner = LinearAttention(20, 4, input_rank=8, width=16, n_heads=4, n_layers=3)
    assert learner.memory_size(100) == 3 * 4 * 4 * 4
    assert LinearAttention(20, 4, input_rank=8, width=16, n_heads=4, feature_map="elu").memory_size(1) == 4 * 4 * 5


def test_name_and_unknown_feature_map():
    assert LinearAttention().name == "linear-attention"
    with pytest.raises(ValueError, match="Unknown feature_map 'relu'.*Valid: elu, unit"):
        LinearAttention(feature_map="relu")
