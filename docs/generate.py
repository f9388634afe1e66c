"""The pages that are made when the documentation is built: from the code, its registries and the project's files."""

import importlib
import io
import os
import pkgutil
import re
import shutil
from contextlib import redirect_stdout, suppress
from pathlib import Path

import gpicl_agents
import gpicl_baselines
import gpicl_envs
from docstrings import argument_table, arguments, description, sections, table
from environment_pages import write_environment_pages
from gpicl_agents.commands.train import DEFAULT_PRESET
from gpicl_agents.playground.page import write_playground
from gpicl_agents.pretrained import load_pretrained
from gpicl_agents.training.presets import PRESETS
from gpicl_envs.cli import commands, main
from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.registry import find_class, learner_targets

ROOT = Path(__file__).parent.parent
HELP_WIDTH = 84
LINK = re.compile(r"(\]\()(?!https?:|#)([^)]+)(\))")


def generate(folder: Path) -> None:
    """Write all generated pages into a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_environment_pages(folder / "environments")
    write_module_pages(folder / "modules")
    write_playground(load_pretrained("gpicl-small"), folder / "site" / "playground" / "index.html", "gpicl-small")
    pages = {
        "contributing": linked((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")),
        "changelog": linked((ROOT / "CHANGELOG.md").read_text(encoding="utf-8")),
        "learners": learners_page(),
        "command-line": command_line_page(),
        "api": api_page(),
    }
    for name, text in pages.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")


def linked(text: str) -> str:
    """Return a page of the repository's root with its relative links right for a generated page."""
    pages = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "README.md": "../index.md"}

    def target(link: re.Match[str]) -> str:
        path = link[2]
        inside = path.removeprefix("docs/")
        return link[1] + pages.get(path, f"../{inside}" if inside != path else f"../../{path}") + link[3]

    return LINK.sub(target, text)


def learners_page() -> str:
    """Every registered learner, with its arguments."""
    parts = [
        "# Learners",
        sections(Learner)[""],
        "A learner is made by `gpicl_envs.make_learner(name, **arguments)`, and named so on the command line. Your own "
        "is named `module:Class`; see [the API](api.md).",
    ]
    for name, target in sorted(learner_targets().items()):
        made = find_class(target)
        parts += [f"## {name}", f"`{target.replace(':', '.')}`", description(made)]
        parts += [argument_table(rows)] if (rows := arguments(made)) else []
    presets = [(f"`{name}`", preset.learner, preset.description) for name, preset in PRESETS.items()]
    parts += [
        "## Presets",
        "A learner with the settings that train it well: `gpicl train PRESET`.",
        table(["preset", "learner", ""], presets),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def command_line_page() -> str:
    """Every command, with its own help."""
    rows = [
        (f"[`gpicl {name}`](#gpicl-{name})", description(command).split("\n")[0])
        for name, command in commands().items()
    ]
    parts = ["# Command line", table(["command", "what it does"], rows)]
    for name in commands():
        parts += [f"(gpicl-{name})=\n## gpicl {name}", f"```text\n{command_help(name)}\n```"]
        if name == "train":
            parts += ["The options of a preset:", f"```text\n{command_help(name, DEFAULT_PRESET)}\n```"]
    return "\n\n".join(parts) + "\n"


def command_help(*words: str) -> str:
    """Return what `gpicl NAME --help` prints."""
    printed = io.StringIO()
    width = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(HELP_WIDTH)
    try:
        with redirect_stdout(printed), suppress(SystemExit):
            main([*words, "--help"])
    finally:
        os.environ.pop("COLUMNS")
        if width is not None:
            os.environ["COLUMNS"] = width
    return "\n".join(line.rstrip() for line in printed.getvalue().strip().splitlines())


def api_page() -> str:
    """The public names of the package."""
    parts = ["# API", "What `import gpicl_envs` gives."]
    for name in gpicl_envs.__all__:
        value = getattr(gpicl_envs, name)
        parts.append(f"## {name}")
        if isinstance(value, dict):
            parts.append(f"A `dict` by name: {', '.join(f'`{key}`' for key in value)}.")
        else:
            directive = (
                f"autoclass:: gpicl_envs.{name}\n   :members:"
                if isinstance(value, type)
                else f"autofunction:: gpicl_envs.{name}"
            )
            parts.append(f"```{{eval-rst}}\n.. {directive}\n```")
    return "\n\n".join(parts) + "\n"


def write_module_pages(folder: Path) -> None:
    """Write a page for every module, without what the page of the public names has, and an index of them."""
    folder.mkdir()
    rows = []
    for package in (gpicl_envs, gpicl_agents, gpicl_baselines):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".commands" in found.name or found.name == "gpicl_envs.cli":  # the command line has a page
                continue
            try:
                module = importlib.import_module(found.name)
            except ModuleNotFoundError as error:
                rows.append((f"`{found.name}`", f"needs {error.name}, which was missing when this page was built"))
                continue
            page = f"# {found.name}\n\n```{{eval-rst}}\n{_automodule(found.name)}\n```\n"
            (folder / f"{found.name}.md").write_text(page, encoding="utf-8")
            rows.append((f"[`{found.name}`]({found.name}.md)", description(module).split("\n\n")[0]))
    text = "The inside, by module. What `import gpicl_envs` gives is in [the API](../api.md)."
    tree = "```{toctree}\n:hidden:\n:glob:\n*\n```"
    page = "\n\n".join(["# Modules", text, table(["module", ""], rows), tree])
    (folder / "index.md").write_text(page + "\n", encoding="utf-8")


def _automodule(name: str) -> str:
    public = ", ".join(gpicl_envs.__all__)
    return f".. automodule:: {name}\n   :members:\n   :exclude-members: {public}"
