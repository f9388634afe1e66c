"""Pictures of an episode: what the agent sees, where it came from, and how its accuracy grows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RENDER_MODES = ("rgb_array", "ansi")
SHADES = " ░▒▓█"
BARS = "▁▂▃▄▅▆▇█"
ANSI_SIZE = 14


@dataclass(frozen=True)
class Frame:
    """One moment of one episode.

    Args:
        x: (D,) the input that the agent sees.
        source: the base input behind it, z-normalised, in the dataset's shape.
        predictions: (n,) labels predicted so far.
        labels: (n,) their true labels.
        length: N.
        n_classes: K.
        title: dataset and position.
    """

    x: NDArray[np.float32]
    source: NDArray[np.float32]
    predictions: NDArray[np.int64]
    labels: NDArray[np.int64]
    length: int
    n_classes: int
    title: str

    @property
    def running_accuracy(self) -> NDArray[np.float64]:
        """(n,) share of right predictions among the first 1, 2, … n."""
        return (self.predictions == self.labels).cumsum() / np.arange(1, len(self.labels) + 1)

    @property
    def verdict(self) -> str:
        """The last prediction and its label, in words."""
        if not len(self.labels):
            return "no prediction yet"
        said, true = self.predictions[-1], self.labels[-1]
        return f"predicted {said}, label {true}: {'right' if said == true else 'wrong'}"


def render(frame: Frame, mode: str) -> Any:
    """Return a (height, width, 3) uint8 array for `"rgb_array"`, a string for `"ansi"`."""
    return _as_text(frame) if mode == "ansi" else _as_pixels(frame)


def as_image(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return values of any shape as an image scaled to 0 … 1: (h, w) or (h, w, 3). Vectors fill a square, padded."""
    if values.ndim == 1:
        side = int(np.ceil(np.sqrt(values.size)))
        values = np.pad(values, (0, side * side - values.size), constant_values=values.min()).reshape(side, side)
    low, high = values.min(), values.max()
    return (values - low) / max(float(high - low), 1e-9)


def _as_pixels(frame: Frame) -> NDArray[np.uint8]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 2.8), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    seen, source, curve = figure.subplots(1, 3, width_ratios=(1, 1, 1.4))
    for axes, values, title in ((seen, frame.x, "input x = A x̄"), (source, frame.source, "hidden source x̄")):
        axes.imshow(as_image(values), cmap="gray")
        axes.set(title=title, xticks=[], yticks=[])
    accuracy = 100 * frame.running_accuracy
    curve.axhline(100 / frame.n_classes, color="gray", linestyle=":", label="chance")
    curve.plot(np.arange(1, len(accuracy) + 1), accuracy, marker="o", markersize=2, label="running accuracy")
    curve.set(xlim=(0, frame.length + 1), ylim=(0, 100), xlabel="examples answered", ylabel="accuracy (%)")
    curve.set_title(frame.verdict, fontsize=9)
    curve.legend(loc="upper left", fontsize=7, frameon=False)
    figure.suptitle(frame.title, fontsize=10)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _as_text(frame: Frame) -> str:
    pictures = [_shades(frame.x), _shades(frame.source)]
    rows = [f"{'input x = A x̄':<{2 * ANSI_SIZE}}   hidden source x̄"]
    rows += [f"{left}   {right}" for left, right in zip(*pictures, strict=True)]
    accuracy = frame.running_accuracy
    score = f", running accuracy {100 * accuracy[-1]:.0f} %" if len(accuracy) else ""
    return "\n".join([frame.title, *rows, f"{frame.verdict}{score}", sparkline(accuracy)]) + "\n"


def _shades(values: NDArray[np.float32]) -> list[str]:
    """ANSI_SIZE lines of ANSI_SIZE cells, two characters a cell, by nearest-neighbour sampling."""
    image = as_image(values)
    image = image.mean(-1) if image.ndim == 3 else image
    rows, columns = ((np.arange(ANSI_SIZE) + 0.5) * np.array(image.shape)[:, None] / ANSI_SIZE).astype(int)
    levels = (image[np.ix_(rows, columns)] * (len(SHADES) - 1)).round().astype(int)
    return ["".join(SHADES[level] * 2 for level in line) for line in levels]


def sparkline(values: Any) -> str:
    """Return values in 0 … 1 as a line of bars, one character a value."""
    levels = (np.clip(np.asarray(values, dtype=float), 0, 1) * (len(BARS) - 1)).round().astype(int)
    return "".join(BARS[level] for level in levels)
