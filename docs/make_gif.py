"""Make docs/images/episode.gif: one episode being learned, frame by frame.

python docs/make_gif.py; python docs/make_gif.py --learner runs/quickstart/transformer
"""

from pathlib import Path

import gymnasium
import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from PIL import Image, ImageColor

from gpicl_envs import make_learner
from gpicl_envs.rendering.image import BLUE, GREEN, GRID, INK, MUTED, RED

GREYS = 12  # of the palette, which all frames share
LAST_SECONDS = 3.0  # that the last frame stays
ALL_OF_FIRST = 20  # predictions with a frame each; of those after them, every second one


def main(
    learner: str = "kernel-ridge",
    env: str = "GPICL-MNIST-v0",
    seed: int = 0,
    length: int = 100,
    fps: float = 4.0,
    out: Path = Path(__file__).parent / "images" / "episode.gif",
) -> None:
    """Write an animation of one episode, predicted by a learner.

    Args:
        learner: registered name, module:Class or checkpoint folder.
        env: environment id.
        seed: of the episode, on test images.
        length: N.
        fps: frames a second.
        out: the file.
    """
    pictures = play_episode(learner, env, seed, length)
    write_gif(pictures, out, fps)
    print(f"{out}: {len(pictures)} frames, {out.stat().st_size / 1e6:.2f} MB")


@torch.no_grad()
def play_episode(learner: str, env_id: str, seed: int, length: int) -> list[NDArray[np.uint8]]:
    """Return pictures of an episode, before the first prediction and after the others."""
    env = gymnasium.make(env_id, split="test", length=length, render_mode="rgb_array")
    env.reset(seed=seed)
    state_of_episode = env.unwrapped
    episode = state_of_episode.episode  # type: ignore[attr-defined]
    predictions = make_learner(learner).predict(episode.x, episode.y).argmax(2)[0]
    pictures = [env.render()]
    for number, prediction in enumerate(predictions.tolist(), start=1):
        env.step(prediction)
        if number <= ALL_OF_FIRST or number % 2 == 0 or number == length:
            pictures.append(env.render())
    return pictures  # type: ignore[return-value]


def write_gif(pictures: list[NDArray[np.uint8]], path: Path, fps: float) -> None:
    """Write an endless animation; one palette for all frames, no dithering: what stays the same takes no room."""
    palette = make_palette()
    small = [Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    durations = [1000 / fps] * (len(small) - 1) + [1000 * LAST_SECONDS]
    path.parent.mkdir(parents=True, exist_ok=True)
    small[0].save(path, save_all=True, append_images=small[1:], duration=durations, loop=0, optimize=False)


def make_palette() -> Image.Image:
    """Return an image whose palette has greys, the drawing's colours, and these half mixed with white."""
    colours = [(level, level, level) for level in np.linspace(0, 255, GREYS).round().astype(int).tolist()]
    for name in (INK, MUTED, GRID, BLUE, GREEN, RED):
        red, green, blue = ImageColor.getrgb(name)[:3]
        colours += [(red, green, blue), ((red + 255) // 2, (green + 255) // 2, (blue + 255) // 2)]
    palette = Image.new("P", (1, 1))
    palette.putpalette([channel for colour in colours for channel in colour])
    return palette


if __name__ == "__main__":
    tyro.cli(main)
