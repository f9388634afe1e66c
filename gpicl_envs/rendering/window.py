"""A window for `render_mode="human"`."""

from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray


class Window:
    """A pygame window that shows at most `fps` pictures a second. The first one opens it; the user may close it.

    Raises:
        DependencyNotInstalled: pygame is not installed.
    """

    def __init__(self, caption: str, fps: int) -> None:
        try:
            import pygame
        except ModuleNotFoundError:
            raise DependencyNotInstalled(
                "render_mode='human' shows a pygame window, and pygame is not installed: run `pip install "
                "'gpicl-envs[human]'`, or use render_mode='rgb_array' or 'ansi'."
            ) from None
        self._pygame, self._caption, self._fps = pygame, caption, fps
        self._surface: Any = None
        self._clock = pygame.time.Clock()
        self._closed_by_user = False

    @property
    def is_open(self) -> bool:
        """Whether the window is on the screen."""
        return self._surface is not None

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Show a (height, width, 3) picture; does nothing once the user has closed the window."""
        if self._closed_by_user:
            return
        pygame = self._pygame
        if not self.is_open:
            self._open(picture.shape[1], picture.shape[0])
        self._surface.blit(pygame.surfarray.make_surface(picture.swapaxes(0, 1)), (0, 0))
        pygame.display.flip()
        self._clock.tick(self._fps)
        if any(event.type == pygame.QUIT for event in pygame.event.get()):
            self.close()
            self._closed_by_user = True

    def close(self) -> None:
        """Close the window; the next picture opens it again, unless the user closed it."""
        if self.is_open:
            self._pygame.display.quit()
            self._surface = None

    def _open(self, width: int, height: int) -> None:
        try:
            self._pygame.display.init()
            self._surface = self._pygame.display.set_mode((width, height))
        except self._pygame.error as error:
            raise OSError(
                f"render_mode='human' needs a screen, but there is none ({error}): use render_mode='rgb_array' or "
                "'ansi', or set SDL_VIDEODRIVER=dummy to run without one."
            ) from None
        self._pygame.display.set_caption(self._caption)
