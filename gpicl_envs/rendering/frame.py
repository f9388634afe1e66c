"""`Frame`: what a picture of an episode shows at one moment, and how arrays become images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gpicl_envs.datasets.dataset import is_image_shape

if TYPE_CHECKING:  # they need torch, which pictures do not
    from gpicl_envs.tasks.base import EpisodeDistribution
    from gpicl_envs.tasks.episodes import Episodes

RECENT = 12  # earlier examples that a picture shows beside the current one


@dataclass(frozen=True)
class Frame:
    """One moment of an episode, for people: it has the labels, which agents do not see with `feedback="reward"`.

    Args:
        x: (D,) the input that the agent sees.
        base_input: the base input behind it, z-normalised, in the dataset's shape; for regression x itself.
        recent: the base inputs of the last predictions, RECENT at most.
        predictions: (n,) labels, or values, predicted so far.
        labels: (n,) the true ones.
        length: N.
        n_classes: K; 1 for regression.
        title: dataset and position.
    """

    x: NDArray[np.float32]
    base_input: NDArray[np.float32]
    recent: Sequence[NDArray[np.float32]]
    predictions: NDArray[Any]
    labels: NDArray[Any]
    length: int
    n_classes: int
    title: str

    @property
    def is_regression(self) -> bool:
        """Whether real values are predicted."""
        return self.n_classes == 1

    @property
    def right(self) -> NDArray[np.bool_]:
        """(n,) whether each prediction was right."""
        return self.predictions == self.labels

    @property
    def running_accuracy(self) -> NDArray[np.float64]:
        """(n,) fraction of right predictions among the first 1, 2, … n."""
        return self.right.cumsum() / np.arange(1, len(self.labels) + 1)

    @property
    def squared_errors(self) -> NDArray[np.float64]:
        """(n,) squared error of each predicted value."""
        return np.square(self.predictions.astype(np.float64) - self.labels)

    @property
    def last_outcome(self) -> str:
        """The last prediction and the true label or value, in words."""
        if not len(self.labels):
            return "no prediction yet"
        prediction, label = self.predictions[-1], self.labels[-1]
        if self.is_regression:
            return f"predicted {prediction:.2f}, value {label:.2f}: squared error {self.squared_errors[-1]:.2f}"
        return f"predicted {prediction}, label {label}: {'right' if prediction == label else 'wrong'}"


def make_frame(tasks: "EpisodeDistribution", episodes: "Episodes", row: int, predictions: NDArray[Any]) -> Frame:
    """Return the frame of one of the episodes after its predictions (n,)."""
    n = len(predictions)
    shown = min(n, tasks.length - 1)
    return Frame(
        x=episodes.x[row, shown].cpu().numpy(),
        base_input=tasks.base_input(episodes, row, shown),
        recent=[tasks.base_input(episodes, row, earlier) for earlier in range(max(0, n - RECENT), n)],
        predictions=predictions,
        labels=episodes.y[row, :n].cpu().numpy(),
        length=tasks.length,
        n_classes=tasks.n_classes,
        title=f"{tasks.name}, example {shown + 1} of {tasks.length}",
    )


def as_image(values: NDArray[np.float32], shape: tuple[int, ...] = ()) -> NDArray[np.float32]:
    """Return values of any shape as an image scaled to 0 … 1: (h, w), (h, w, 3) or (h, w, 4).

    What is no image, as a vector or channels first, fills a square, padded.

    Args:
        values: an image, or an array of any other shape.
        shape: of the base inputs, in which a vector with as many values is shown if it is that of an image.
    """
    if values.ndim == 1 and is_image_shape(shape) and values.size == np.prod(shape):
        values = values.reshape(shape)
    if not is_image_shape(values.shape):
        values = values.ravel()
        side = int(np.ceil(np.sqrt(values.size)))
        values = np.pad(values, (0, side * side - values.size), constant_values=values.min()).reshape(side, side)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    low, high = values.min(), values.max()
    return (values - low) / max(float(high - low), 1e-9)


def to_pillow(image: NDArray[np.float32]) -> Image.Image:
    """Return an image of `as_image` as a Pillow image, 8 bits a channel."""
    return Image.fromarray((255 * image).round().astype(np.uint8))


def resampled(image: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Return an image of `as_image`, resized by area averaging: (height, width[, 3])."""
    small = to_pillow(image).resize((width, height), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / np.float32(255)
