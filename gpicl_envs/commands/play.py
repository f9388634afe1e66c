"""`gpicl play`: be the learner yourself, in a terminal."""

from typing import Any

import gymnasium
import numpy as np
import tyro
from gymnasium.spaces import Discrete
from numpy.typing import NDArray
from rich import box
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gpicl_envs.commands.arguments import Assignments, show
from gpicl_envs.errors import check_integer
from gpicl_envs.learners.registry import parse_assignments
from gpicl_envs.registration import find_environment
from gpicl_envs.rendering.frame import as_image, resampled
from gpicl_envs.rendering.modes import shades, sparkline

QUIT = ("q", "quit")
INPUT_LINES, MEMORY_LINES = 14, 7  # of pictures; each has twice as many characters per line


def play(
    env: tyro.conf.Positional[str] = "GPICL-MNIST-v0", env_kwargs: Assignments = (), raw: bool = False, seed: int = 0
) -> None:
    """Be the learner yourself: see an input, guess its label, and see what it was.

    Labels are permuted in each episode: like any agent, you have to find out which label a seven has. Inputs are
    randomly projected, which keeps all information but looks like noise; --raw shows them without projection.

    Examples: `gpicl play GPICL-MNIST-v0 --raw --env-kwargs length=30`; `gpicl play GPICL-Clusters-v0 --seed 7`.

    Args:
        env: environment id.
        env_kwargs: arguments of the environment, such as length=30 n_classes=3 feedback=reward.
        raw: show the inputs without projection.
        seed: of the episode.
    """
    console = Console()
    game = Game(make_game_env(env, parse_assignments(env_kwargs), raw), check_integer("seed", seed, 0))
    while not game.ended:
        if console.is_terminal:
            console.clear()
        console.print(game.screen(in_colour=console.color_system is not None))
        label = read_label(console, game.n_classes)
        if label is None:
            break
        game.guess(label)
    console.print(game.feedback)
    console.print(game.result())


class Game:
    """One episode of an environment with label actions, played by a person, who sees what an agent sees."""

    def __init__(self, env: Any, seed: int) -> None:
        self._env, self._hidden = env, env.unwrapped
        self.n_classes = int(env.action_space.n)
        self.memory: dict[int, list[NDArray[np.float32]]] = {}  # label → the inputs known to have it, in order
        self.right: list[bool] = []
        self.feedback = Text("Nothing seen yet: the first label is pure chance.", style="dim")
        self.ended = False
        observation, _ = env.reset(seed=seed)
        self._x = observation["x"]

    def guess(self, label: int) -> None:
        """Guess the label of the current example; its input is remembered under its label, if that is shown."""
        seen = self._x
        observation, _, self.ended, _, _ = self._env.step(label)
        self._x, shown = observation["x"], observation["y"]
        is_right = bool(shown[label] > 0)
        self.right.append(is_right)
        if shown.max() > 0:
            self.memory.setdefault(int(shown.argmax()), []).append(seen)
        if is_right:
            self.feedback = Text(f"✓ {label} was right.", style="bold green")
        else:
            truth = f": it was {shown.argmax()}" if shown.max() > 0 else ""  # bandit feedback does not show it
            self.feedback = Text(f"✗ {label} was wrong{truth}.", style="bold red")

    def screen(self, in_colour: bool) -> Group:
        """Return the score, the last example of each known label, and the input whose label is to be guessed."""
        known = [
            Panel(
                picture(self._image(inputs[-1]), MEMORY_LINES, in_colour),
                title=f"{label} [dim]({len(inputs)} seen)",
                box=box.ROUNDED,
                expand=False,
            )
            for label, inputs in sorted(self.memory.items())
        ]
        number = Text(f"example {len(self.right) + 1} of {self._hidden.tasks.length}", style="bold")
        parts: list[RenderableType] = [number, self.feedback]
        if self.right:
            parts.append(f"{sum(self.right)} of {len(self.right)} right  {sparkline(self.running_accuracy)}")
        if known:
            parts += [Text("What you have seen: the last example of each label", style="dim"), Columns(known)]
        current = picture(self._image(self._x), INPUT_LINES, in_colour)
        return Group(*parts, Panel(current, title="which label has this?", box=box.HEAVY, expand=False))

    @property
    def running_accuracy(self) -> NDArray[np.float64]:
        """(n,) accuracy over the first 1, 2, … n examples."""
        return np.cumsum(self.right) / np.arange(1, len(self.right) + 1)

    def result(self) -> RenderableType:
        """Return the score so far beside chance and the nearest neighbour on the same examples."""
        n = len(self.right)
        if not n:
            return "No guess, so no score."
        table = Table("learner", "right", "accuracy", box=None)
        neighbour = self._nearest_neighbour_right()
        rows = [("you", sum(self.right)), ("nearest neighbour, which sees every label", neighbour)]
        for name, right in rows:
            table.add_row(name, f"{right} of {n}", f"{100 * right / n:.0f} %")
        table.add_row("chance", "", f"{100 / self.n_classes:.0f} %")
        return Group(table, f"Your running accuracy: {sparkline(self.running_accuracy)}")

    def _nearest_neighbour_right(self) -> int:
        from gpicl_envs.learners.registry import make_learner

        n, episode = len(self.right), self._hidden.episode
        learner = make_learner("knn", n_features=episode.x.shape[2], n_classes=self.n_classes)
        x, y = episode.x[:, :n].cpu(), episode.y[:, :n].cpu()
        return int((learner.predict(x, y).argmax(2) == y).sum())

    def _image(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        dataset = getattr(self._hidden.tasks, "dataset", None)  # synthetic tables and mixtures have none
        return as_image(x, () if dataset is None else dataset.shape)


def make_game_env(env_id: str, arguments: dict[str, Any], raw: bool) -> Any:
    """Return the environment of an id, without projection if `raw`."""
    find_environment(env_id)
    taken = sorted({"projection", "n_features"} & arguments.keys())
    if raw and taken:
        raise ValueError(f"--raw sets projection and n_features: leave {', '.join(taken)} out of --env-kwargs.")
    env: Any = gymnasium.make(env_id, **arguments)
    if not isinstance(env.action_space, Discrete):
        raise ValueError(
            f"gpicl play needs labels as actions, but those of {env_id} are {env.action_space}: choose an environment "
            "for classification (`gpicl envs` lists them all), and leave action out of --env-kwargs."
        )
    if not raw:
        return env
    tasks = env.unwrapped.tasks
    if not hasattr(tasks, "projection"):
        raise ValueError(f"--raw leaves the projection out, and {env_id} has none: play it without --raw.")
    unprojected = {"projection": "none", "n_features": tasks.dataset.n_inputs + tasks.distractors}
    return gymnasium.make(env_id, **arguments | unprojected)


def read_label(console: Console, n_classes: int) -> int | None:
    """Return the label that is typed, or None to quit or at the end of the input."""
    while True:
        try:
            text = console.input(f"label 0 … {n_classes - 1}, q to quit: ").strip()
        except (EOFError, KeyboardInterrupt):
            console.print()
            return None
        if text.lower() in QUIT:
            return None
        if text.isdecimal() and int(text) < n_classes:
            return int(text)
        message = f"{text!r} is not a label: give a whole number from 0 to {n_classes - 1}, or q to quit."
        show(message, console)


def picture(image: NDArray[np.float32], lines: int, in_colour: bool) -> Text:
    """Return an image as text: in colour, half blocks of two pixels each; else shades of grey."""
    width = max(1, round(2 * lines * image.shape[1] / image.shape[0]))
    if not in_colour:
        return Text("\n".join(shades(image, width, lines)))
    pixels = (255 * resampled(image, width, 2 * lines)).round().astype(int)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    text = Text()
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        for (r, g, b), (red, green, blue) in zip(upper, lower, strict=True):
            text.append("▀", style=f"rgb({r},{g},{b}) on rgb({red},{green},{blue})")
        text.append("\n")
    text.right_crop(1)
    return text
