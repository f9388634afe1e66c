"""One page for each environment id, from the registry, the docstrings, the data and the committed records."""

from collections.abc import Collection, Iterable
from pathlib import Path

import gymnasium

from docstrings import argument_table, arguments, sections, table
from gpicl_envs.registration import Environment, environments, rl_environments
from learning_pages import learning_content
from page_content import PageContent
from problem_pages import problem_content

VERSIONS = {0: "the first, in gpicl-envs 0.1.0."}  # of all ids, until one gets a v1
TITLES = (
    *("Description", "Observation space", "Action space", "Starting state", "Rewards", "Episode end", "Info"),
    *("Arguments", "Data", "Randomness", "Reference players", "Reference scores", "Version history"),
)


def write_environment_pages(folder: Path, ids: Collection[str] | None = None) -> None:
    """Write a page for every registered id, or for these alone, and an index of all."""
    folder.mkdir(parents=True, exist_ok=True)
    for environment in (environments() | rl_environments()).values():
        if ids is None or environment.id in ids:
            (folder / f"{environment.id}.md").write_text(_page(environment, folder), encoding="utf-8")
    (folder / "index.md").write_text(_index(), encoding="utf-8")


def _index() -> str:
    tree = "\n".join(environments() | rl_environments())
    return f"""# Environments

## In-context learning

Each id is one base dataset, one class of functions, synthetic tables, or a mixture of these. Every variant of the
learning problem is a keyword argument, and at the default `n_features` all ids with ten classes or more share one
observation space: an agent meta-trained on one runs on every other.

{_list(environments().values(), "what is learned")}

## In-context reinforcement learning

Here actions matter: a problem is several episodes in one hidden environment; see [In-context RL](../../rl.md).

{_list(rl_environments().values(), "the problem")}

```{{toctree}}
:hidden:
{tree}
```
"""


def _list(shown: Iterable[Environment], about: str) -> str:
    rows = [(f"[{one.id}]({one.id}.md)", one.description.removeprefix("in-context RL: ")) for one in shown]
    return table(["id", about], rows)


def _page(environment: Environment, folder: Path) -> str:
    is_rl = environment.id in rl_environments()
    content = problem_content(environment, folder) if is_rl else learning_content(environment, folder)
    summary = environment.description
    parts = [f"# {environment.id}", f"{summary[0].upper()}{summary[1:]}.", _code(environment), content.picture]
    made = {"Arguments": _arguments(environment, content), "Version history": _history(environment)}
    for title in TITLES:
        texts = [text[title] for text in (sections(content.env.batch_class), content.sections, made) if text.get(title)]
        parts += [f"## {title}", *texts] if texts else []
    return "\n\n".join(filter(None, parts)) + "\n"


def _code(environment: Environment) -> str:
    return f"""```python
import gymnasium
import gpicl_envs

env = gymnasium.make("{environment.id}")
venv = gymnasium.make_vec("{environment.id}", num_envs=64)
```"""


def _arguments(environment: Environment, content: PageContent) -> str:
    """What is drawn, then the arguments of the environments, of which the single one has more render modes."""
    chosen = {name for one in (environments() | rl_environments()).values() for name in one.arguments}
    shared = arguments(content.env.batch_class, leave_out=[*chosen, "num_envs", "render_mode"])
    shared += [row for row in arguments(content.env) if row.name == "render_mode"]
    return "\n\n".join(
        [
            "Keyword arguments of `gymnasium.make` and `make_vec`. What is drawn:",
            argument_table(arguments(content.distribution, leave_out=["device", *environment.arguments])),
            f"{content.shared_arguments} (`make_vec` takes all render modes except `human`):",
            argument_table(shared),
        ]
    )


def _history(environment: Environment) -> str:
    """What changed in each version up to that of the id, the newest first."""
    newest = gymnasium.spec(environment.id).version or 0
    lines = [f"- v{number}: {VERSIONS[number]}" for number in range(newest, -1, -1)]
    return "\n".join([*lines, "", "[The rule for new versions](../../environments.md#versions)."])
