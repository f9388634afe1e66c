"""Options of a command whose first word names a preset, which has their defaults."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import tyro

from gpicl_agents.training.presets import Preset, find_preset
from gpicl_envs.commands.arguments import Words, unchecked
from gpicl_envs.learners.registry import LearnerSpec


def parse_preset_options(
    words: Words,
    presets: Mapping[str, Preset[Any]],
    default: Callable[[str | None], str],
    options: type[Any],
    command: str,
    description: str,
) -> tuple[str, Any]:
    """Return the name of the preset, the first word, and the options, whose defaults are the preset's.

    Args:
        words: what the user typed after the command.
        presets: by name.
        default: the name of the preset where no word gives it: a function of what --env names, if anything.
        options: the class of the options, which has a field `config`.
        command: for its help.
        description: of the command, for its help.
    """
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words = Words([default(_env_of(words)), *words])
    elif not words[0].startswith("-"):
        find_preset(words[0], presets)
    made = {
        name: options(
            learner=preset.spec,
            batch_size=preset.batch_size,
            env=preset.env,
            config=unchecked(preset.config),
            **preset.wrapping,
        )
        for name, preset in presets.items()
    }
    told = {name: preset.description for name, preset in presets.items()}
    kind: Any = tyro.extras.subcommand_type_from_defaults(made, told)
    given = tyro.cli(kind, prog=command, description=description, args=words, default=made[default(None)])
    return words[0], replace(given, config=type(presets[words[0]].config)(**vars(given.config)))


def _env_of(words: Words) -> str | None:
    """The id that --env gives."""
    given = " ".join(words).replace("=", " ").split()
    return next((value for name, value in zip(given[-2::-1], given[::-1], strict=False) if name == "--env"), None)


def default_folder(preset: str, learner: str, presets: Mapping[str, Preset[Any]]) -> Path:
    """Return runs/PRESET, or runs/LEARNER for another learner than the preset's."""
    name = preset if learner == presets[preset].spec else LearnerSpec.parse(learner).name
    return Path("runs") / re.sub(r"\W+", "-", name)
