"""Pictures of what is best shown as text."""

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from gpicl_envs.rendering.image import INK, MARGIN, text_font

SIZE, LINE, WIDTH, LINES = 16, 40, 960, 14  # of the letters, and of the picture, twice as large as it is shown


def text_picture(text: str, mode: str) -> Any:
    """Return the text for `"ansi"`, or for `"rgb_array"` a (312, 480, 3) uint8 picture of its first 14 lines."""
    if mode == "ansi":
        return f"{text}\n"
    canvas = Image.new("RGB", (WIDTH, 2 * MARGIN + LINE * LINES), "white")
    draw = ImageDraw.Draw(canvas)
    for number, line in enumerate(text.splitlines()[:LINES]):
        draw.text((MARGIN, MARGIN + number * LINE), line, INK, text_font(SIZE, fixed_width=True))
    return np.asarray(canvas.reduce(2))
