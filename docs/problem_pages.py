"""What the pages of the ids of in-context RL have of their own: spaces, reference players, and their returns."""

from functools import cache
from pathlib import Path
from typing import Any

import gymnasium
import torch
from PIL import Image, ImageOps

from docstrings import arguments, description, sections, table
from gpicl_envs.evaluation.records import Record
from gpicl_envs.evaluation.return_records import ReturnRecord, read_return_records
from gpicl_envs.registration import Environment
from gpicl_envs.rendering.image import MARGIN
from gpicl_envs.report.columns import group, return_columns
from gpicl_envs.report.figures import draw_regrets
from gpicl_envs.rl.kinds import PROBLEMS
from gpicl_envs.rl.players.base import KnowingPlayer
from gpicl_envs.rl.players.registry import make_player, players_of
from gpicl_envs.rl.single_env import ProblemEnv
from page_content import RESULTS, PageContent, provenance

SHOWN_STEPS = 3  # before the picture of an environment
NO_BREAK = "&nbsp;"
MEASURES = (
    "Return: of a whole problem. Regret: what the best policy for the hidden environment is expected to earn beyond "
    "that. Gain: the return of the last episode minus that of the first. In brackets 95 % intervals. Players that are "
    "folders were trained by `gpicl train-rl`; [In-context RL](../../rl.md#what-agents-reach) says how long."
)


def problem_content(environment: Environment, folder: Path) -> PageContent:
    """Return what the page of an id of in-context RL has of its own; its pictures go into the folder."""
    kind = PROBLEMS[environment.arguments["problem"]]
    own = sections(kind)
    return PageContent(
        env=ProblemEnv,
        distribution=kind,
        shared_arguments="When the next problem begins, and what is shown",
        picture=_picture(environment, folder),
        sections=own
        | {
            "Description": own[""],
            "Observation space": f"{own['Observation space']}\n\n{_spaces(environment)}",
            "Reference players": f"{own['Known results']}\n\n{_players(environment)}",
            "Reference scores": _scores(environment.id, folder),
        },
    )


def _spaces(environment: Environment) -> str:
    """The spaces with default arguments."""
    env: Any = gymnasium.make(environment.id)
    rows = [(f"`{name}`", f"`{space}`") for name, space in env.observation_space.spaces.items()]
    text = f"With the default arguments the action space is `{env.action_space}`, and an observation has:"
    return f"{text}\n\n{table(['name', 'space'], rows)}"


# -- Players ----------------------------------------------------------------------------------------------------------


def _players(environment: Environment) -> str:
    """The players that know this kind of problem, as they are named on the command line."""
    players = players_of(environment.arguments["problem"])
    rows = []
    for name, player in players.items():
        options = ", ".join(f"`{option.name}={option.default.strip('`')}`" for option in arguments(player))
        knows = " It is told the hidden problem." if issubclass(player, KnowingPlayer) else ""
        rows.append((f"`{name}`", description(player).split("\n\n")[0] + knows, options))
    command = f"gpicl evaluate-rl --env {environment.id} --players {' '.join(players)}"
    return f"{table(['player', 'what it does', 'arguments'], rows)}\n\n```console\n{command}\n```"


@cache
def _committed() -> dict[Path, list[Record]]:
    """All committed records of in-context RL, by file."""
    return {path: read_return_records(path) for path in sorted((RESULTS / "rl").glob("*.jsonl"))}


def _scores(env_id: str, folder: Path) -> str:
    """A table for each cell of the committed records of an id, and a picture of the regrets."""
    parts = [MEASURES]
    for path, committed in _committed().items():
        records = [record for record in committed if record.env == env_id]
        if records:
            picture = f"{env_id}-{path.stem}.png"
            draw_regrets(group(records), [folder / picture])
            columns = return_columns(group(records)).values()
            parts += map(_score_table, columns)
            parts += dict.fromkeys(provenance(column[0], path, "gpicl evaluate-rl", "problems") for column in columns)
            parts += [f"![Regret in every episode of a problem]({picture})"]
    return "\n\n".join(parts)


def _score_table(column: list[ReturnRecord]) -> str:
    first, body = column[0], []
    for record in column:
        estimates = (record.total_return, record.total_regret, record.gain)
        shown = (f"{mean:z.2f} [{low:z.2f}, {high:z.2f}]".replace(" ", NO_BREAK) for mean, low, high in estimates)
        body.append((_player(record), *shown))
    given = ", ".join(f"`{name}={value!r}`" for name, value in first.env_kwargs.items())
    cell = f"Cell `{first.suite.cell}` of the suite `{first.suite.name}`" if first.suite else "No suite"
    scores = table(["player", "return", "regret", "gain"], body, right=3)
    return f"**{cell}**, *{first.protocol}*: {given}.\n\n{scores}"


def _player(record: ReturnRecord) -> str:
    """A player as it is named on the command line, and what this name does not tell."""
    name = f"`{record.spec or record.learner}`"
    if record.knows_the_problem:
        return f"{name}, which knows the problem"
    return f"{name}: {record.learner}, {record.n_parameters:,} trained parameters" if record.n_parameters else name


# -- Pictures ---------------------------------------------------------------------------------------------------------


def _picture(environment: Environment, folder: Path) -> str:
    """Let the first player that knows this kind of problem play, and draw what the environment then shows."""
    venv: Any = gymnasium.make_vec(environment.id, num_envs=1, render_mode="rgb_array").unwrapped
    name = next(name for name, player in players_of(venv.distribution.name).items() if player.problems)
    player = make_player(name, venv.distribution)
    observation, _ = venv.reset(seed=0)
    state = player.start(venv.distribution, 1, torch.Generator().manual_seed(0))
    for _ in range(SHOWN_STEPS):
        action, state = player.act(state, observation)
        observation, *_ = venv.step(action)
    drawn = Image.fromarray(venv.render()[0])
    *_, last_row = ImageOps.invert(drawn).getbbox() or drawn.size  # below it, all is white
    drawn.crop((0, 0, drawn.width, last_row + MARGIN // 2)).save(folder / f"{environment.id}.png")
    shown = description(venv.distribution.describe).removeprefix("Return ")
    picture = f"![The hidden problem, after {SHOWN_STEPS} steps]({environment.id}.png)"
    return f"{picture}\n\n*`render()` after {SHOWN_STEPS} steps of the player `{name}`. It shows {shown}*"
