import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled

import gpicl_envs
from gpicl_envs.rendering.window import Window

pygame = pytest.importorskip("pygame")


@pytest.fixture(autouse=True)
def no_screen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    yield
    pygame.display.quit()


def picture(value: int) -> np.ndarray:
    shown = np.full((20, 30, 3), value, np.uint8)
    shown[0, 29] = 200, 100, 50
    return shown


def test_it_shows_what_it_is_given_the_right_way_up():
    window = Window("a title", fps=1000)
    assert not window.is_open
    window.show(picture(7))
    surface = pygame.display.get_surface()
    assert surface.get_size() == (30, 20) and surface.get_at((29, 0))[:3] == (200, 100, 50)
    assert pygame.display.get_caption()[0] == "a title"


def test_closed_by_the_program_it_opens_again():
    window = Window("w", fps=1000)
    window.show(picture(1))
    window.close()
    assert not window.is_open and not pygame.display.get_init()
    window.close()
    window.show(picture(2))
    assert window.is_open


def test_closed_by_the_user_it_stays_closed_and_the_episode_continues():
    window = Window("w", fps=1000)
    window.show(picture(1))
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    window.show(picture(2))
    assert not window.is_open
    window.show(picture(3))
    assert not window.is_open


def test_it_waits_for_its_turn():
    window = Window("w", fps=20)
    window.show(picture(1))
    start = pygame.time.get_ticks()
    window.show(picture(2))
    window.show(picture(3))
    assert pygame.time.get_ticks() - start >= 80  # milliseconds: two turns of 50, less rounding


def test_without_a_screen_it_says_what_to_use(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "nothing-of-this-name")
    with pytest.raises(OSError, match="needs a screen.*use render_mode='rgb_array'"):
        Window("w", fps=1000).show(picture(1))


def test_human_mode_without_pygame_names_the_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "pygame", None)
    with pytest.raises(DependencyNotInstalled, match=r"pip install 'gpicl-envs\[human\]'"):
        gpicl_envs.InContextEnv("Digits", render_mode="human")
