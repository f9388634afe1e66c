import time

import gymnasium
import numpy as np
import pytest
from small_tasks import play_right

import gpicl_envs  # noqa: F401
from gpicl_envs.datasets import Dataset
from gpicl_envs.rendering import image as layout

# Of the picture, whose canvas is larger.
BASE_INPUT_LEFT, PANEL, TOP = (size // layout.FINE for size in (layout.BASE_INPUT_LEFT, layout.PANEL, layout.TOP))
RED, BLUE = np.array([255, 0, 0], np.uint8), np.array([0, 0, 255], np.uint8)


@pytest.mark.parametrize("env_id", ["GPICL-MNIST-v0", "GPICL-Clusters-v0"])
@pytest.mark.parametrize("steps", [0, 5, 100])
def test_pixels_are_an_image_that_changes_with_the_episode(steps: int, env_id: str):
    picture = play_right("rgb_array", steps, env_id).render()
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
    assert picture.std() > 10
    assert not np.array_equal(picture, play_right("rgb_array", 2, env_id).render())


def test_the_hidden_base_input_is_shown_as_it_is():
    env = play_right("rgb_array", 3)
    shown = env.render()[TOP : TOP + PANEL : PANEL // 28, BASE_INPUT_LEFT : BASE_INPUT_LEFT + PANEL : PANEL // 28, 0]
    index = int(env.unwrapped.episode.index[0, 3])
    assert np.array_equal(shown, env.unwrapped.tasks.dataset.x["train"][index])


def test_colours_stay_colours():
    """Half red, half blue images: the picture shows both colours at the base input."""
    images = np.zeros((40, 6, 6, 3), np.uint8)
    images[:, :, :3] = RED
    images[:, :, 3:] = BLUE
    dataset = Dataset("Flags", {"train": images}, {"train": np.arange(40) % 2}, n_classes=2)
    env = play_right("rgb_array", 1, "GPICL-MNIST-v0", dataset=dataset, n_classes=2, length=5)
    middle = env.render()[TOP + PANEL // 2]
    assert np.array_equal(middle[BASE_INPUT_LEFT + 20], RED)
    assert np.array_equal(middle[BASE_INPUT_LEFT + PANEL - 20], BLUE)


def test_a_picture_costs_far_less_than_a_frame_of_film():
    env = play_right("rgb_array", 100)
    env.render()
    start = time.perf_counter()
    for _ in range(5):
        env.render()
    assert (time.perf_counter() - start) / 5 < 0.1  # seconds; 0.006 on an EPYC core


@pytest.mark.parametrize("length", [1, 3000])
def test_episodes_of_any_length_have_a_picture(length: int):
    env = gymnasium.make("GPICL-LinearRegression-v0", render_mode="rgb_array", length=length)
    env.reset(seed=0)
    for _ in range(length):
        env.step(np.ones(1, np.float32))
    assert env.render().std() > 10
