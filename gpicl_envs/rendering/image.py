"""A frame as an image, drawn with Pillow in about ten milliseconds."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from gpicl_envs.rendering.frame import Frame, as_image, to_pillow

# The canvas is FINE times the size of the picture, which smooths lines and letters. All sizes are in its pixels.
FINE = 2
WIDTH, HEIGHT, MARGIN = 1520, 712, 32
TITLE, CAPTION, TOP = 28, 76, 116  # from the top: the title, the captions, the images and the plot
PANEL = 392  # side of the two large images, and height of the plot with its numbers
BASE_INPUT_LEFT, VALUES_LEFT, ACCURACY_LEFT = 464, 544, 968
PLOT_RIGHT, PLOT_BOTTOM = 1472, TOP + PANEL - 48
RECENT_CAPTION, RECENT_TOP, THUMB, THUMB_STEP = 538, 580, 84, 122
INK, MUTED, GRID, BLUE, GREEN, RED = "#1c2733", "#66727f", "#dde3e8", "#2f6fd0", "#1f9d5a", "#d43f3f"

Place = tuple[float, float]


def draw_frame(frame: Frame) -> NDArray[np.uint8]:
    """Return a (356, 760, 3) picture: the input, its base input, the score so far and the last predictions."""
    canvas = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(canvas)
    draw.text((MARGIN, TITLE), frame.title, INK, text_font(16, bold=True))
    _paste(canvas, as_image(frame.x, frame.base_input.shape), MARGIN, TOP, PANEL)
    if frame.is_regression:
        draw.text((MARGIN, CAPTION), "input x", MUTED, text_font(13))
        score = _draw_values(draw, frame)
    else:
        draw.text((MARGIN, CAPTION), "input x = A x̄", MUTED, text_font(13))
        draw.text((BASE_INPUT_LEFT, CAPTION), "hidden base input x̄", MUTED, text_font(13))
        _paste(canvas, as_image(frame.base_input), BASE_INPUT_LEFT, TOP, PANEL)
        score = _draw_accuracy(draw, frame)
    draw.text((PLOT_RIGHT, TITLE), score, INK, text_font(16, bold=True), anchor="ra")
    _draw_recent(canvas, draw, frame)
    return np.asarray(canvas.reduce(FINE))


def _draw_accuracy(draw: ImageDraw.ImageDraw, frame: Frame) -> str:
    """The running accuracy, above a tick for each prediction, green if right; returns the score in words."""
    draw.text((ACCURACY_LEFT, CAPTION), "right predictions so far (%)", MUTED, text_font(13))
    places = _draw_axes(draw, ACCURACY_LEFT, frame.length, [0, 25, 50, 75, 100])
    chance = 100 / frame.n_classes
    for start, end in np.linspace(0, frame.length, 84).reshape(-1, 2):  # dashes
        draw.line(places([start, end], chance), MUTED, FINE)
    draw.text((PLOT_RIGHT, places([0], chance)[0][1] - 6), "chance", MUTED, text_font(11), anchor="rd")
    edges = places(np.arange(len(frame.labels) + 1), 0)
    for (left, bottom), (right, _), is_right in zip(edges, edges[1:], frame.right, strict=False):
        tick = left, bottom + 10, max(left, right - FINE), bottom + 26
        draw.rectangle(tick, GREEN if is_right else RED)
    if not len(frame.labels):
        return frame.last_outcome
    accuracy = 100 * frame.running_accuracy
    points = places(np.arange(len(accuracy)) + 0.5, accuracy)
    draw.line(points, BLUE, 2 * FINE, joint="curve")
    draw.circle(points[-1], 8, BLUE)
    return f"{frame.right.sum()} of {len(accuracy)} right ({accuracy[-1]:.0f} %)"


def _draw_values(draw: ImageDraw.ImageDraw, frame: Frame) -> str:
    """Every value and its prediction, and the error as a line between them; returns the score in words."""
    draw.text((VALUES_LEFT, CAPTION), "value (dark), prediction (blue) and error (red)", MUTED, text_font(13))
    edge = max(1, int(np.ceil(np.abs(frame.labels).max(initial=0))))
    places = _draw_axes(draw, VALUES_LEFT, frame.length, [-edge, -edge / 2, 0, edge / 2, edge])
    radius = min(7.0, max(2.0, 320 / frame.length))
    middle = np.arange(len(frame.labels)) + 0.5
    shown = places(middle, np.clip(frame.predictions, -edge, edge))
    for value, prediction in zip(places(middle, frame.labels), shown, strict=True):
        draw.line([prediction, value], RED, FINE)
        draw.circle(value, radius, INK)
        draw.circle(prediction, radius, BLUE)
    if not len(frame.labels):
        return frame.last_outcome
    return f"mean squared error {frame.squared_errors[-10:].mean():.2f} (last ten)"


def _draw_axes(
    draw: ImageDraw.ImageDraw, left: float, length: int, values: Sequence[float]
) -> Callable[[ArrayLike, ArrayLike], list[Place]]:
    """Draw a line for each value, and the numbers of the first and the last example.

    Returns a function from (n,) examples and values to the places of these points.
    """

    def places(examples: ArrayLike, heights: ArrayLike) -> list[Place]:
        x = left + (PLOT_RIGHT - left) * np.asarray(examples) / length
        height = (np.asarray(heights) - values[0]) / (values[-1] - values[0])
        y = PLOT_BOTTOM + (TOP - PLOT_BOTTOM) * np.broadcast_to(height, x.shape)
        return list(zip(x.tolist(), y.tolist(), strict=True))

    for value in values:
        ends = places([0, length], value)
        draw.line(ends, GRID, FINE)
        draw.text((left - 16, ends[0][1]), f"{value:g}", MUTED, text_font(11), anchor="rm")
    bottom = TOP + PANEL + 8
    draw.text((left, bottom), "1", MUTED, text_font(11), anchor="lb")
    draw.text((PLOT_RIGHT, bottom), str(length), MUTED, text_font(11), anchor="rb")
    draw.text(((left + PLOT_RIGHT) / 2, bottom), "example", MUTED, text_font(11), anchor="mb")
    return places


def _draw_recent(canvas: Image.Image, draw: ImageDraw.ImageDraw, frame: Frame) -> None:
    """The base inputs of the last predictions, and what was predicted."""
    caption = f"last base inputs: prediction → true {'value' if frame.is_regression else 'label'}"
    draw.text((MARGIN, RECENT_CAPTION), caption, MUTED, text_font(12))
    n = len(frame.recent)
    recent = zip(frame.recent, frame.predictions[-n:], frame.labels[-n:], strict=True) if n else ()
    for i, (base_input, prediction, label) in enumerate(recent):
        left, colour = MARGIN + THUMB_STEP * i, GREEN if prediction == label else RED
        text, font = f"{label}" if prediction == label else f"{prediction} → {label}", text_font(12, bold=True)
        if frame.is_regression:
            text, font, colour = f"{prediction:.1f} → {label:.1f}", text_font(10), MUTED
        draw.rectangle((left - 6, RECENT_TOP - 6, left + THUMB + 5, RECENT_TOP + THUMB + 5), colour)
        _paste(canvas, as_image(base_input), left, RECENT_TOP, THUMB)
        draw.text((left + THUMB / 2, RECENT_TOP + THUMB + 12), text, colour, font, anchor="ma")


def _paste(canvas: Image.Image, image: NDArray[np.float32], left: int, top: int, size: int) -> None:
    """Show an image as sharp squares, centred in a square of `size` pixels."""
    scale = size / max(image.shape[:2])
    height, width = (max(1, round(scale * side)) for side in image.shape[:2])
    method = Image.Resampling.NEAREST if scale > FINE else Image.Resampling.BOX
    place = left + (size - width) // 2, top + (size - height) // 2
    canvas.paste(to_pillow(image).convert("RGB").resize((width, height), method), place)


@cache
def text_font(size: int, bold: bool = False, *, fixed_width: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans (or Sans Mono), from matplotlib's own files: the same on every machine."""
    from matplotlib import get_data_path

    name = f"DejaVuSans{'Mono' if fixed_width else ''}{'-Bold' if bold else ''}.ttf"
    return ImageFont.truetype(Path(get_data_path(), "fonts", "ttf", name), FINE * size)
