import numpy as np
import pytest

from gpicl_envs.rendering.frame import as_image, resampled
from gpicl_envs.rendering.modes import shades, sparkline


def test_vectors_fill_a_square_and_values_a_unit_range():
    image = as_image(np.arange(7, dtype=np.float32))
    assert image.shape == (3, 3) and image.min() == 0 and image.max() == 1
    assert sparkline([0, 0.5, 1]) == "▁▅█"


def test_a_vector_of_an_image_s_size_is_shown_as_that_image():
    values = np.arange(12, dtype=np.float32)
    assert as_image(values, (2, 2, 3)).shape == (2, 2, 3)
    assert as_image(values, (5, 5)).shape == (4, 4)


@pytest.mark.parametrize("shape", [(3, 7, 5), (4, 6, 6, 3), (6, 6, 6), (100, 1), (1, 9), (8, 8, 2), (8, 8, 5)], ids=str)
def test_what_is_no_image_is_shown_as_a_vector(shape: tuple[int, ...]):
    values = np.arange(np.prod(shape), dtype=np.float32)
    assert np.array_equal(as_image(values.reshape(shape)), as_image(values))
    assert np.array_equal(as_image(values, shape), as_image(values))


@pytest.mark.parametrize("shape", [(8, 6), (8, 6, 1), (8, 6, 3), (8, 6, 4)], ids=str)
def test_images_keep_their_shape(shape: tuple[int, ...]):
    image = as_image(np.arange(np.prod(shape), dtype=np.float32).reshape(shape))
    assert image.shape == tuple(n for n in shape if n != 1)


def test_shrinking_averages_areas():
    board = np.indices((8, 8)).sum(0) % 2
    assert np.allclose(resampled(board.astype(np.float32), 4, 4), 0.5, atol=1 / 255)
    assert shades(np.eye(2, dtype=np.float32), 4, 2) == ["██  ", "  ██"]
