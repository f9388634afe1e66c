"""What each render mode returns."""

import gymnasium
import numpy as np
import pytest
from small_tasks import play_right

import gpicl_envs
from gpicl_envs.datasets import Dataset


def test_text_shows_position_outcome_and_accuracy():
    text = play_right("ansi", 3).render()
    env = play_right("ansi", 3)
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
    picture = play_right("rgb_array", 0, "GPICL-Digits-v0").render()
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


SHAPES = [(3, 8, 8), (4, 6, 6, 3), (6, 6, 6), (100, 1), (1, 9), (8, 8, 2), (8, 8, 5), (8, 8, 4), (8, 8, 1), (1,)]


@pytest.mark.parametrize("mode", ["rgb_array", "ansi"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_inputs_of_every_shape_have_a_picture(shape: tuple[int, ...], mode: str):
    x = np.random.default_rng(0).integers(256, size=(40, *shape), dtype=np.uint8)
    data = Dataset("mine", {"train": x}, {"train": np.arange(40) % 4}, n_classes=4)
    env = gymnasium.make("GPICL-Array-v0", dataset=data, length=5, render_mode=mode)
    env.reset(seed=0)
    for _ in range(5):
        env.step(1)
        shown = env.render()
    assert shown.shape == (356, 760, 3) if mode == "rgb_array" else "right" in shown or "wrong" in shown
