"""Text, and a picture of it."""

import numpy as np

from gpicl_envs.rendering.text import text_picture


def test_text_stays_text_or_becomes_a_picture():
    assert text_picture("one\ntwo", "ansi") == "one\ntwo\n"
    blank, picture = text_picture("", "rgb_array"), text_picture("one\ntwo", "rgb_array")
    assert picture.shape == (312, 480, 3) and picture.dtype == np.uint8
    assert (blank == 255).all() and (picture < 128).any()
    lines = (picture < 128).any((1, 2)).nonzero()[0]
    assert lines.min() > 10 and lines.max() > 30  # two lines, below the margin


def test_letters_are_of_one_width_so_that_columns_align():
    narrow, wide = (text_picture(f"{letter * 9}|", "rgb_array") for letter in "iM")
    right_edges = [np.flatnonzero((picture < 128).any((0, 2))).max() for picture in (narrow, wide)]
    assert right_edges[0] == right_edges[1]
