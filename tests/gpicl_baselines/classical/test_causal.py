import torch

from gpicl_baselines.classical.causal import centred, smoothed, squared_distances, sum_before, unit


def test_inputs_are_centred_by_the_running_mean_with_one_more_zero():
    x = torch.randn(2, 6, 3, dtype=torch.float64)
    for n in range(6):
        assert torch.allclose(centred(x)[:, n], x[:, n] - x[:, : n + 1].sum(1) / (n + 2))
    assert torch.allclose(unit(x).square().mean(2), torch.ones(2, 6).double())


def test_sums_are_over_the_examples_before():
    values = torch.randn(2, 6, 3)
    assert torch.allclose(sum_before(values), torch.ones(2, 6, 6).tril(-1) @ values, atol=1e-6)
    assert (sum_before(values)[:, 0] == 0).all()


def test_distances_are_those_of_differences():
    x = torch.randn(2, 6, 3, dtype=torch.float64)
    assert torch.allclose(squared_distances(x), (x[:, :, None] - x[:, None]).square().mean(3), atol=1e-12)


def test_smoothing_adds_one_example_of_each_class():
    counts = torch.tensor([3.0, 1.0, 0.0])
    assert torch.allclose(smoothed(counts / 4, 4).exp(), (counts + 1) / 7)
