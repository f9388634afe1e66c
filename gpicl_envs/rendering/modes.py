"""Render modes, and frames as text."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpicl_envs.rendering.frame import Frame, as_image, resampled
from gpicl_envs.rendering.image import draw_frame

BATCH_RENDER_MODES = ("rgb_array", "ansi")
RENDER_MODES = ("human", *BATCH_RENDER_MODES)
RENDER_FPS = 4
SHADES = " ░▒▓█"
BARS = "▁▂▃▄▅▆▇█"
ANSI_SIZE = 14  # lines of a picture in text; each has twice as many characters


def render(frame: Frame, mode: str) -> Any:
    """Return a (height, width, 3) uint8 array for `"rgb_array"`, a string for `"ansi"`."""
    return as_text(frame) if mode == "ansi" else draw_frame(frame)


def as_text(frame: Frame) -> str:
    """Return the frame as lines of text: the input, its base input, the last prediction and the score so far."""
    pictures = [shades(as_image(frame.x, frame.base_input.shape), 2 * ANSI_SIZE, ANSI_SIZE)]
    if frame.is_regression:
        rows = ["input x", *pictures[0]]
    else:
        pictures.append(shades(as_image(frame.base_input), 2 * ANSI_SIZE, ANSI_SIZE))
        rows = [f"{'input x = A x̄':<{2 * ANSI_SIZE}}   hidden base input x̄"]
        rows += [f"{left}   {right}" for left, right in zip(*pictures, strict=True)]
    score, line = _score(frame)
    return "\n".join([frame.title, *rows, f"{frame.last_outcome}{score}", line]) + "\n"


def _score(frame: Frame) -> tuple[str, str]:
    """The score so far in words, and accuracies, or squared errors relative to the largest, as a line of bars."""
    if not len(frame.labels):
        return "", ""
    if frame.is_regression:
        errors = frame.squared_errors
        return f", {errors.mean():.2f} on average", sparkline(errors / max(errors.max(), 1e-9))
    accuracy = frame.running_accuracy
    return f", running accuracy {100 * accuracy[-1]:.0f} %", sparkline(accuracy)


def shades(image: NDArray[np.float32], width: int, height: int) -> list[str]:
    """Return an image of `as_image` as `height` lines of `width` characters, from blank for 0 to full for 1."""
    pixels = resampled(image, width, height)
    pixels = pixels.mean(-1) if pixels.ndim == 3 else pixels
    levels = (pixels * (len(SHADES) - 1)).round().astype(int)
    return ["".join(SHADES[level] for level in line) for line in levels]


def sparkline(values: Any) -> str:
    """Return values in 0 … 1 as a line of bars, one character a value."""
    levels = (np.clip(np.asarray(values, dtype=float), 0, 1) * (len(BARS) - 1)).round().astype(int)
    return "".join(BARS[level] for level in levels)
