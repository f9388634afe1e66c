import time

import gymnasium
import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled

import gpicl_envs  # noqa: F401
from gpicl_envs.datasets import Dataset
from gpicl_envs.rendering import image as layout
from gpicl_envs.rendering.frame import as_image, resampled
from gpicl_envs.rendering.modes import shades, sparkline

# Of the picture, whose canvas is larger.
BASE_INPUT_LEFT, PANEL, TOP = (size // layout.FINE for size in (layout.BASE_INPUT_LEFT, layout.PANEL, layout.TOP))
RED, BLUE = np.array([255, 0, 0], np.uint8), np.array([0, 0, 255], np.uint8)


def play(render_mode: str, steps: int, env_id: str = "GPICL-MNIST-v0", **arguments):
    env = gymnasium.make(env_id, render_mode=render_mode, **arguments)
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


def test_the_hidden_source_is_shown_as_it_is():
    env = play("rgb_array", 3)
    shown = env.render()[TOP : TOP + PANEL : PANEL // 28, BASE_INPUT_LEFT : BASE_INPUT_LEFT + PANEL : PANEL // 28, 0]
    index = int(env.unwrapped.episode.index[0, 3])
    assert np.array_equal(shown, env.unwrapped.tasks.dataset.x["train"][index])


def test_colours_stay_colours():
    """Half red, half blue images: the picture shows both colours where the source is."""
    images = np.zeros((40, 6, 6, 3), np.uint8)
    images[:, :, :3] = RED
    images[:, :, 3:] = BLUE
    dataset = Dataset("Flags", {"train": images}, {"train": np.arange(40) % 2}, n_classes=2)
    env = play("rgb_array", 1, "GPICL-MNIST-v0", dataset=dataset, n_classes=2, length=5)
    middle = env.render()[TOP + PANEL // 2]
    assert np.array_equal(middle[BASE_INPUT_LEFT + 20], RED)
    assert np.array_equal(middle[BASE_INPUT_LEFT + PANEL - 20], BLUE)


def test_a_picture_costs_far_less_than_a_frame_of_film():
    env = play("rgb_array", 100)
    env.render()
    start = time.perf_counter()
    for _ in range(5):
        env.render()
    assert (time.perf_counter() - start) / 5 < 0.1  # seconds; 0.006 on an EPYC core


def test_text_tells_position_verdict_and_accuracy():
    text = play("ansi", 3).render()
    env = play("ansi", 3)
    label = int(env.unwrapped.episode.y[0, 2])
    assert "MNIST, example 4 of 100" in text
    assert f"predicted {label}, label {label}: right, running accuracy 100 %" in text
    assert "█" in text
    env.step((int(env.unwrapped.episode.y[0, 3]) + 1) % 10)
    assert "wrong, running accuracy 75 %" in env.render()


def test_regression_is_shown_by_its_errors():
    env = gymnasium.make("GPICL-LinearRegression-v0", render_mode="ansi")
    env.reset(seed=0)
    values = env.unwrapped.episode.y[0]
    env.step(values[:1].numpy())
    env.step(values[1:2].numpy() + 2)
    text = env.render()
    assert f"value {values[1]:.2f}: squared error 4.00, 2.00 on average" in text and text.endswith("▁█\n")
    assert "hidden base input" not in text


@pytest.mark.parametrize("length", [1, 3000])
def test_episodes_of_any_length_have_a_picture(length: int):
    env = gymnasium.make("GPICL-LinearRegression-v0", render_mode="rgb_array", length=length)
    env.reset(seed=0)
    for _ in range(length):
        env.step(np.ones(1, np.float32))
    assert env.render().std() > 10


def test_a_vector_environment_renders_each():
    env = gymnasium.make_vec("GPICL-Digits-v0", num_envs=2, render_mode="ansi")
    env.reset(seed=0)
    pictures = env.render()
    assert len(pictures) == 2 and pictures[0] != pictures[1]


def test_without_a_render_mode_there_is_no_picture():
    env = gymnasium.make("GPICL-Digits-v0").unwrapped
    env.reset()
    assert env.render() is None
    env.close()


def test_human_mode_follows_by_itself_and_closes(monkeypatch: pytest.MonkeyPatch):
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = gymnasium.make("GPICL-Digits-v0", render_mode="human")
    env.reset(seed=0)
    before = pygame.surfarray.array3d(pygame.display.get_surface())
    env.step(0)
    after = pygame.surfarray.array3d(pygame.display.get_surface())
    picture = play("rgb_array", 0, "GPICL-Digits-v0").render()
    assert np.array_equal(before.swapaxes(0, 1), picture) and not np.array_equal(before, after)
    assert env.render() is None
    env.close()
    assert not pygame.display.get_init()


@pytest.mark.parametrize("arguments", [{"render_mode": "video"}, {"render_mode": "rgb"}])
def test_unknown_render_modes_list_the_known_ones(arguments: dict):
    with pytest.raises(ValueError, match="Valid: ansi, human, rgb_array"):
        gpicl_envs.InContextEnv("Digits", **arguments)


def test_a_batch_has_no_window():
    with pytest.raises(ValueError, match="shows one episode, in a window.*gymnasium.make"):
        gymnasium.make_vec("GPICL-Digits-v0", num_envs=2, render_mode="human")


def test_human_mode_without_pygame_names_the_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "pygame", None)
    with pytest.raises(DependencyNotInstalled, match=r"pip install 'gpicl-envs\[human\]'"):
        gpicl_envs.InContextEnv("Digits", render_mode="human")


def test_vectors_fill_a_square_and_values_a_unit_range():
    image = as_image(np.arange(7, dtype=np.float32))
    assert image.shape == (3, 3) and image.min() == 0 and image.max() == 1
    assert sparkline([0, 0.5, 1]) == "▁▅█"


def test_a_vector_of_an_image_s_size_is_shown_as_that_image():
    values = np.arange(12, dtype=np.float32)
    assert as_image(values, (2, 2, 3)).shape == (2, 2, 3)
    assert as_image(values, (5, 5)).shape == (4, 4)


def test_shrinking_averages_areas():
    board = np.indices((8, 8)).sum(0) % 2
    assert np.allclose(resampled(board.astype(np.float32), 4, 4), 0.5, atol=1 / 255)
    assert shades(np.eye(2, dtype=np.float32), 4, 2) == ["██  ", "  ██"]
