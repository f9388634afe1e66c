import numpy as np
import pytest
import torch
from scipy.stats import kstest

from gpicl_envs.sampling.philox import Streams, _normal_table, philox4x64

CPU = torch.device("cpu")


def streams(*numbers: int, key: int = 0, purpose: int = 0) -> Streams:
    return Streams(np.full(len(numbers), key, np.uint64), np.array(numbers, np.uint64), purpose, CPU)


def test_known_answer_of_philox4x64_10():
    """The zero-counter, zero-key vector of Random123's kat_vectors."""
    zeros = tuple(torch.zeros(1, dtype=torch.int64) for _ in range(6))
    words = [int(word) % 2**64 for word in philox4x64(zeros[:4], zeros[4:])]
    assert words == [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]


@pytest.mark.parametrize("n_words", [1, 4, 1001])
def test_torch_computes_the_bits_that_numpy_does(n_words: int):
    keys, numbers = np.array([5, 2**64 - 1], np.uint64), np.array([2**63 + 3, 7], np.uint64)
    drawn = Streams(keys, numbers, 3, CPU)
    assert torch.equal(drawn.words(n_words, substream=2), drawn._torch_words(n_words, 2))


def test_normals_take_the_same_levels_from_either_path():
    class ElsewhereStreams(Streams):
        """Takes the path of other devices, on the CPU."""

        def words(self, n_words: int, part: int = 0) -> torch.Tensor:
            return self._torch_words(n_words, part)

    here = streams(1, 2)
    elsewhere = ElsewhereStreams(here.key, here.number, here.purpose, CPU)
    assert torch.equal(here.normal(10, 7), elsewhere.normal(10, 7))


def test_streams_differ_by_key_number_purpose_and_substream():
    base = streams(0).words(8)
    for other in (streams(0, key=1), streams(1), streams(0, purpose=1)):
        assert not torch.equal(base, other.words(8))
    assert not torch.equal(base, streams(0).words(8, substream=1))


def test_a_row_does_not_depend_on_the_others():
    assert torch.equal(streams(3, 9, 4).normal(50)[1], streams(9).normal(50)[0])


def test_numbers_that_exist_never_change():
    drawn = Streams(np.array([5], np.uint64), np.array([3], np.uint64), 1, CPU)
    assert drawn.below(1000, 3).tolist() == [[179, 24, 831]]
    assert drawn.permutation(6).tolist() == [[4, 5, 3, 2, 1, 0]]
    assert drawn.uniform(2).tolist() == [[0.17971866671257108, 0.024737954247267657]]
    assert drawn.words(1, substream=2).tolist() == [[-5498596963746890099]]
    assert drawn.normal(3)[0].tolist() == pytest.approx([-1.3139782, -2.2827632, -1.7218587], abs=1e-6)


def test_normals_are_standard_normal():
    values = streams(*range(20)).normal(50_000).flatten().numpy()
    assert kstest(values, "norm").pvalue > 1e-3
    assert abs(values.var() - 1) < 5 * (2 / len(values)) ** 0.5
    neighbours = np.corrcoef(values[:-1], values[1:])[0, 1]
    assert abs(neighbours) < 5 / len(values) ** 0.5


def test_the_levels_of_normals_have_variance_one():
    """Every level occurs equally often, so that the variance is exact."""
    levels = _normal_table(CPU).double()
    assert len(levels) == 2**16 and abs(levels.square().mean() - 1) < 1e-6 and abs(levels.mean()) < 1e-9
    assert (levels.diff() > 0).all() and levels[-1].item() == pytest.approx(4.2, abs=0.2)


def test_below_and_permutation_are_uniform():
    draws = streams(*range(100)).below(7, 700)
    counts = np.bincount(draws.flatten().numpy(), minlength=7)
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 30  # chi-square, 6 degrees of freedom: p < 1e-4
    first = streams(*range(6000)).permutation(3)[:, 0].bincount()
    assert ((first - 2000) ** 2 / 2000).sum() < 20
