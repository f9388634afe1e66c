"""A frame as pixels, drawn with Pillow: a few milliseconds a picture."""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gpicl_envs.rendering.frame import Frame, as_image, to_pillow

# The plan, in pixels of the result. All is drawn FINE times as large, which smooths lines and letters.
FINE = 2
WIDTH, HEIGHT, MARGIN, TOP = 760, 356, 16, 58
PANEL = 196  # side of the two large images, and height of the plot
BASE_INPUT_LEFT = 232
PLOT_LEFT, PLOT_RIGHT, PLOT_TICKS = 484, 736, 24
STRIP_TOP, THUMB, THUMB_STEP = 290, 42, 61
INK, MUTED, GRID, BLUE, GREEN, RED = "#1c2733", "#66727f", "#dde3e8", "#2f6fd0", "#1f9d5a", "#d43f3f"


def draw_frame(frame: Frame) -> NDArray[np.uint8]:
    """Return a (height, width, 3) picture: the input, its base input, the score so far, the last answers."""
    canvas = Image.new("RGB", (FINE * WIDTH, FINE * HEIGHT), "white")
    pen = Pen(canvas)
    pen.write((MARGIN, 14), frame.title, 16, bold=True)
    pen.paste(as_image(frame.x, frame.base_input.shape), MARGIN, TOP, PANEL)
    if frame.is_regression:
        pen.write((MARGIN, 38), "input x", colour=MUTED)
        _draw_values(pen, frame, BASE_INPUT_LEFT + 40)
    else:
        pen.write((MARGIN, 38), "input x = A x̄", colour=MUTED)
        pen.write((BASE_INPUT_LEFT, 38), "hidden base input x̄", colour=MUTED)
        pen.paste(as_image(frame.base_input), BASE_INPUT_LEFT, TOP, PANEL)
        _draw_accuracy(pen, frame, PLOT_LEFT)
    _draw_recent(pen, frame)
    return np.asarray(canvas.reduce(FINE))


class Pen:
    """Draws on a canvas in the coordinates of the result."""

    def __init__(self, canvas: Image.Image) -> None:
        self._canvas = canvas
        self._draw = ImageDraw.Draw(canvas)

    def write(
        self,
        place: tuple[float, float],
        text: str,
        size: int = 13,
        *,
        bold: bool = False,
        colour: str = INK,
        anchor: str = "la",
    ) -> None:
        """Write a line of text; the anchor says which point of it lies at the place (Pillow's letters)."""
        self._draw.text((FINE * place[0], FINE * place[1]), text, fill=colour, font=_font(size, bold), anchor=anchor)

    def line(self, points: list[tuple[float, float]], colour: str, width: float = 1.0) -> None:
        """Draw a line through points."""
        fine = [(FINE * x, FINE * y) for x, y in points]
        self._draw.line(fine, fill=colour, width=round(FINE * width), joint="curve")

    def box(self, left: float, top: float, right: float, bottom: float, colour: str) -> None:
        """Fill a rectangle, one fine pixel wide at the least."""
        edges = [FINE * left, FINE * top, max(FINE * left, FINE * right - 1), FINE * bottom - 1]
        self._draw.rectangle(edges, fill=colour)

    def dot(self, place: tuple[float, float], radius: float, colour: str) -> None:
        """Fill a circle."""
        x, y, size = FINE * place[0], FINE * place[1], FINE * radius
        self._draw.ellipse([x - size, y - size, x + size, y + size], fill=colour)

    def paste(self, image: NDArray[np.float32], left: int, top: int, size: int) -> None:
        """Show an image as sharp squares, centred in a square of `size` pixels."""
        scale = FINE * size / max(image.shape[:2])
        height, width = (max(1, round(scale * side)) for side in image.shape[:2])
        way = Image.Resampling.NEAREST if scale > FINE else Image.Resampling.BOX
        place = FINE * left + (FINE * size - width) // 2, FINE * top + (FINE * size - height) // 2
        self._canvas.paste(to_pillow(image).convert("RGB").resize((width, height), way), place)


class Plot:
    """The plot's plane: example numbers to the right, values in [low, high] upwards."""

    def __init__(self, left: float, length: int, low: float, high: float) -> None:
        self.left, self.length, self.low, self.high = left, length, low, high
        self.bottom = TOP + PANEL - PLOT_TICKS

    def place(self, n: float, value: float) -> tuple[float, float]:
        """Where a value after n examples lies."""
        height = (value - self.low) / (self.high - self.low)
        right = self.left + (PLOT_RIGHT - self.left) * n / self.length
        return right, self.bottom - (PANEL - PLOT_TICKS) * height

    def draw_grid(self, pen: Pen, values: list[float]) -> None:
        """Draw the axes: a line for each value, and the numbers of the first and the last example."""
        for value in values:
            pen.line([self.place(0, value), self.place(self.length, value)], GRID)
            pen.write((self.left - 8, self.place(0, value)[1]), f"{value:g}", 11, colour=MUTED, anchor="rm")
        floor = TOP + PANEL + 4
        pen.write((self.left, floor), "1", 11, colour=MUTED, anchor="lb")
        pen.write((PLOT_RIGHT, floor), str(self.length), 11, colour=MUTED, anchor="rb")
        pen.write(((self.left + PLOT_RIGHT) / 2, floor), "example", 11, colour=MUTED, anchor="mb")


def _draw_accuracy(pen: Pen, frame: Frame, left: float) -> None:
    """The running accuracy, over one tick for each answer: green where it was right."""
    n, accuracy = len(frame.labels), 100 * frame.running_accuracy
    score = f"{frame.right.sum()} of {n} right ({accuracy[-1]:.0f} %)" if n else frame.verdict
    pen.write((PLOT_RIGHT, 14), score, 16, bold=True, anchor="ra")
    pen.write((left, 38), "right predictions so far (%)", colour=MUTED)
    plot = Plot(left, frame.length, 0, 100)
    plot.draw_grid(pen, [0, 25, 50, 75, 100])
    chance = 100 / frame.n_classes
    for dash in np.linspace(0, frame.length, 42, endpoint=False):
        pen.line([plot.place(dash, chance), plot.place(dash + frame.length / 84, chance)], MUTED)
    pen.write((PLOT_RIGHT, plot.place(0, chance)[1] - 3), "chance", 11, colour=MUTED, anchor="rd")
    for position, right in enumerate(frame.right):
        start, end = plot.place(position, 0)[0], plot.place(position + 1, 0)[0]
        pen.box(start, plot.bottom + 5, end - 0.5, plot.bottom + 13, GREEN if right else RED)
    if n:
        points = [plot.place(position + 0.5, value) for position, value in enumerate(accuracy)]
        pen.line(points, BLUE, 2)
        pen.dot(points[-1], 4, BLUE)


def _draw_values(pen: Pen, frame: Frame, left: float) -> None:
    """Every value and its prediction, with a line between them: the error."""
    n = len(frame.labels)
    score = f"mean squared error {frame.squared_errors[-10:].mean():.2f} (last ten)" if n else frame.verdict
    pen.write((PLOT_RIGHT, 14), score, 16, bold=True, anchor="ra")
    pen.write((left, 38), "value (dark), prediction (blue) and error (red)", colour=MUTED)
    edge = max(1, int(np.ceil(np.abs(frame.labels).max(initial=0))))
    plot = Plot(left, frame.length, -edge, edge)
    plot.draw_grid(pen, [-edge, -edge / 2, 0, edge / 2, edge])
    radius = min(3.5, max(1.0, 160 / frame.length))
    for position, (said, true) in enumerate(zip(frame.predictions, frame.labels, strict=True)):
        shown = plot.place(position + 0.5, float(np.clip(said, -edge, edge)))
        truth = plot.place(position + 0.5, float(true))
        pen.line([shown, truth], RED)
        pen.dot(truth, radius, INK)
        pen.dot(shown, radius, BLUE)


def _draw_recent(pen: Pen, frame: Frame) -> None:
    """The last answers: their base inputs, and what was predicted."""
    pen.write((MARGIN, STRIP_TOP - 21), "last answers: prediction → truth", 12, colour=MUTED)
    first = len(frame.labels) - len(frame.recent)
    for i, base_input in enumerate(frame.recent):
        said, true = frame.predictions[first + i], frame.labels[first + i]
        left, colour = MARGIN + THUMB_STEP * i, GREEN if said == true else RED
        text = f"{true}" if said == true else f"{said} → {true}"
        if frame.is_regression:
            colour, text = MUTED, f"{said:.1f} → {true:.1f}"
        pen.box(left - 3, STRIP_TOP - 3, left + THUMB + 3, STRIP_TOP + THUMB + 3, colour)
        pen.paste(as_image(base_input), left, STRIP_TOP, THUMB)
        size, bold = (10, False) if frame.is_regression else (12, True)
        pen.write((left + THUMB / 2, STRIP_TOP + THUMB + 6), text, size, bold=bold, colour=colour, anchor="ma")


@cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, from matplotlib's own files: the same on every machine."""
    from matplotlib import get_data_path

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(get_data_path(), "fonts", "ttf", name), FINE * size)
