import gymnasium
import numpy as np
import pytest

import gpicl_envs  # noqa: F401
from gpicl_envs.rendering import as_image, sparkline


def play(render_mode: str, steps: int, env_id: str = "GPICL-MNIST-v0"):
    env = gymnasium.make(env_id, render_mode=render_mode)
    env.reset(seed=0)
    episode = env.unwrapped.episode
    for t in range(steps):
        env.step(int(episode.y[0, t]))
    return env


@pytest.mark.parametrize("env_id", ["GPICL-MNIST-v0", "GPICL-Clusters-v0"])
@pytest.mark.parametrize("steps", [0, 5, 100])
def test_pixels_are_an_image_that_changes_with_the_episode(steps: int, env_id: str):
    picture = play("rgb_array", steps, env_id).render()
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
    assert picture.std() > 10
    assert not np.array_equal(picture, play("rgb_array", 2, env_id).render())


def test_text_tells_position_verdict_and_accuracy():
    text = play("ansi", 3).render()
    env = play("ansi", 3)
    label = int(env.unwrapped.episode.y[0, 2])
    assert "MNIST, example 4 of 100" in text
    assert f"predicted {label}, label {label}: right, running accuracy 100 %" in text
    assert "█" in text
    env.step((int(env.unwrapped.episode.y[0, 3]) + 1) % 10)
    assert "wrong, running accuracy 75 %" in env.render()


def test_a_vector_environment_renders_each():
    env = gymnasium.make_vec("GPICL-Digits-v0", num_envs=2, render_mode="ansi")
    env.reset(seed=0)
    pictures = env.render()
    assert len(pictures) == 2 and pictures[0] != pictures[1]


def test_without_a_render_mode_there_is_no_picture():
    env = gymnasium.make("GPICL-Digits-v0").unwrapped
    env.reset()
    assert env.render() is None


def test_vectors_fill_a_square_and_values_a_unit_range():
    image = as_image(np.arange(7, dtype=np.float32))
    assert image.shape == (3, 3) and image.min() == 0 and image.max() == 1
    assert sparkline([0, 0.5, 1]) == "▁▅█"
