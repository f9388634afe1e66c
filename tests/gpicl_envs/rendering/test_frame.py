import numpy as np

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


def test_shrinking_averages_areas():
    board = np.indices((8, 8)).sum(0) % 2
    assert np.allclose(resampled(board.astype(np.float32), 4, 4), 0.5, atol=1 / 255)
    assert shades(np.eye(2, dtype=np.float32), 4, 2) == ["██  ", "  ██"]
