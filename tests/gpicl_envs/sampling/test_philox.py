import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm

from gpicl_envs.sampling.philox import WORD, Streams, _normal_table, philox4x64

CPU = torch.device("cpu")


def streams(*numbers: int, key: int = 0, purpose: int = 0) -> Streams:
    return Streams(np.full(len(numbers), key, np.uint64), np.array(numbers, np.uint64), purpose, CPU)


ONES = (1 << 64) - 1
VECTORS = {  # counter, key → words: Random123's kat_vectors
    (0, 0, 0, 0, 0, 0): (0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B),
    (ONES,) * 6: (0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0),
    (
        *(0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89),
        *(0x452821E638D01377, 0xBE5466CF34E90C6C),
    ): (0xA528F45403E61D95, 0x38C72DBD566E9788, 0xA5A1610E72FD18B5, 0x57BD43B5E52B7FE6),
}


@pytest.mark.parametrize("given", VECTORS)
def test_known_answers_of_philox4x64_10(given: tuple[int, ...]):
    tensors = tuple(torch.from_numpy(np.array([word], np.uint64).view(np.int64)) for word in given)
    assert tuple(int(word) % 2**64 for word in philox4x64(tensors[:4], tensors[4:])) == VECTORS[given]


@pytest.mark.parametrize("n_words", [1, 3, 4, 5, 8, 1001])
def test_torch_computes_the_bits_that_numpy_does(n_words: int):
    keys, numbers = np.array([5, 2**64 - 1], np.uint64), np.array([2**63 + 3, 7], np.uint64)
    drawn = Streams(keys, numbers, 3, CPU)
    for substream in (0, 2):
        words = drawn.words(n_words, substream)
        assert words.shape == (2, n_words) and torch.equal(words, drawn._torch_words(n_words, substream))
    assert torch.equal(drawn.words(n_words), drawn.words(n_words, 0))


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


def test_rows_are_taken_and_replaced():
    drawn, numbers = streams(3, 9, 4), np.array([2, 0])
    assert len(drawn) == 3 and torch.equal(drawn[numbers].words(2), drawn.words(2)[[2, 0]])
    other = streams(7, 8, key=5)
    changed = drawn.replaced(numbers, other)
    assert torch.equal(changed.words(2)[[2, 0, 1]], torch.cat([other.words(2), drawn.words(2)[1:2]]))
    assert drawn.number.tolist() == [3, 9, 4] and drawn.key.tolist() == [0, 0, 0]


def test_each_number_is_made_of_the_upper_bits_of_its_word():
    """Python's integers, which are exact: the substream too is that of the words."""
    drawn = streams(1, 2)
    words = [[word % 2**64 for word in row] for row in drawn.words(50, substream=3).tolist()]
    assert drawn.uniform(50, substream=3).tolist() == [[(word >> 11) / 2**53 for word in row] for row in words]
    bounds = torch.tensor([[10], [2**31]])
    expected = [[(word >> 32) * bound >> 32 for word in row] for row, bound in zip(words, (10, 2**31), strict=True)]
    assert drawn.below(bounds, 50, substream=3).tolist() == expected
    signed = drawn.words(50, substream=3).numpy()
    assert drawn.permutation(50, substream=3).tolist() == signed.argsort(axis=1, kind="stable").tolist()


def test_normals_take_sixteen_bits_each_in_order():
    drawn = streams(1, 2)
    levels = [
        [word >> shift & 0xFFFF for word in row for shift in (0, 16, 32, 48)] for row in drawn.words(3, 4).tolist()
    ]
    values = drawn.normal(5, 2, substream=4)
    assert values.shape == (2, 5, 2) and values.dtype == torch.float32
    assert torch.equal(values.flatten(1), _normal_table(CPU)[torch.tensor(levels)][:, :10])


def test_the_levels_are_the_middles_of_equal_parts():
    levels = _normal_table(CPU).double()
    expected = torch.from_numpy(norm.ppf((np.arange(2**16) + 0.5) / 2**16))
    assert torch.allclose(levels, expected * (levels[-1] / expected[-1]), rtol=1e-5)
    assert torch.allclose(levels, -levels.flip(0)) and levels[-1] / expected[-1] == pytest.approx(1, abs=1e-3)


def test_a_word_has_64_bits():
    last = streams(0, key=WORD - 1).words(5)
    assert torch.equal(last, streams(0, key=2**64 - 1).words(5)) and not torch.equal(last, streams(0, key=0).words(5))
    with pytest.raises(OverflowError):
        streams(0, key=WORD)


def test_bits_are_the_upper_ones_of_the_words():
    drawn = streams(1, 2)
    words = drawn.words(500, 3).numpy().view(np.uint64)
    for width in (1, 24, 31):
        bits = drawn.bits(width, 500, 3)
        assert bits.dtype == torch.int32 and np.array_equal(bits, words >> np.uint64(64 - width))
    assert torch.equal(drawn.uniform(500, 3).mul(2**24).int(), drawn.bits(24, 500, 3))
