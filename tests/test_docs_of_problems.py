"""The pages of the ids of in-context RL: spaces, arguments, players, and the scores of the committed records."""

import re
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from PIL import Image

from gpicl_envs.evaluation.return_records import ReturnRecord, read_return_records
from gpicl_envs.registration import rl_environments
from gpicl_envs.rl.kinds import PROBLEMS
from gpicl_envs.rl.players.registry import players_of

ROOT = Path(__file__).parent.parent
IDS = tuple(rl_environments())
pytest.importorskip("docstring_parser", reason="the documentation needs the extra docs")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(ROOT / "docs"), *sys.path])
        from environment_pages import write_environment_pages

        written = tmp_path_factory.mktemp("pages")
        write_environment_pages(written, IDS)
    return written


def section(folder: Path, env_id: str, title: str) -> str:
    return (folder / f"{env_id}.md").read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("env_id", IDS)
def test_the_spaces_are_those_of_the_environment(env_id: str, folder: Path):
    env = gymnasium.make(env_id)
    text = section(folder, env_id, "Observation space")
    for name, space in env.observation_space.spaces.items():  # type: ignore[attr-defined]
        assert f"| `{name}` | `{space}` |" in text
    assert f"the action space is `{env.action_space}`" in text


@pytest.mark.parametrize("env_id", IDS)
def test_every_argument_is_there_with_its_default(env_id: str, folder: Path):
    """Those of this kind of problem, not those of others, and what the id implies is none."""
    text = section(folder, env_id, "Arguments")
    made = PROBLEMS[rl_environments()[env_id].arguments["problem"]]()
    found = dict(re.findall(r"^\| `(\w+)` \| `(.+?)` \| .+ \|$", text, flags=re.MULTILINE))
    assert found.keys() == made.arguments.keys() | {"autoreset_mode", "device", "render_mode"}
    assert {name: found[name] for name in made.arguments} == {name: repr(v) for name, v in made.arguments.items()}


@pytest.mark.parametrize("env_id", IDS)
def test_a_page_has_all_that_the_docstring_of_the_kind_says(env_id: str, folder: Path):
    from docstrings import sections

    page = (folder / f"{env_id}.md").read_text()
    texts = sections(PROBLEMS[rl_environments()[env_id].arguments["problem"]])
    assert len(texts) > 4 and all(text in page for text in texts.values())


@pytest.mark.parametrize("env_id", IDS)
def test_the_picture_shows_something(env_id: str, folder: Path):
    picture = np.asarray(Image.open(folder / f"{env_id}.png"))
    assert f"]({env_id}.png)" in (folder / f"{env_id}.md").read_text()
    assert 100 < len(picture) < 312 and picture.shape[1:] == (480, 3) and (picture < 128).sum() > 300


@pytest.mark.parametrize("env_id", IDS)
def test_every_player_is_there_with_its_arguments(env_id: str, folder: Path):
    text = section(folder, env_id, "Reference players")
    players = players_of(rl_environments()[env_id].arguments["problem"])
    assert re.findall(r"^\| `([\w-]+)` \|", text, flags=re.MULTILINE) == list(players)
    assert f"gpicl evaluate-rl --env {env_id} --players {' '.join(players)}" in text
    told = re.search(r"^\| `best` .+It is told the hidden problem\.", text, flags=re.MULTILINE)
    assert told and text.count("is told") == 1
    assert ("| `bonus=1.0` |" in text) == ("ucb1" in players)


@pytest.mark.parametrize("env_id", IDS)
def test_the_scores_are_those_of_the_records(env_id: str, folder: Path):
    """Every record is a row below the name of its cell, with its intervals; nothing else is."""
    records = read_return_records(ROOT / "benchmarks" / "results" / "rl" / "gpicl-rl-v1.jsonl")
    mine = [record for record in records if isinstance(record, ReturnRecord) and record.env == env_id]
    text = section(folder, env_id, "Reference scores")
    _, *cells = re.split(r"\*\*Cell `(.+?)` of the suite `gpicl-rl-v1`\*\*", text)
    tables = dict(zip(cells[::2], cells[1::2], strict=True))
    for record in mine:
        assert record.suite is not None
        shown = " | ".join(
            f"{mean:z.2f}&nbsp;[{low:z.2f},&nbsp;{high:z.2f}]"
            for mean, low, high in (record.total_return, record.total_regret, record.gain)
        )
        (row,) = (line for line in tables[record.suite.cell].splitlines() if line.startswith(f"| `{record.spec}`"))
        assert row.endswith(f" | {shown} |")
        assert not record.n_parameters or f": {record.learner}, {record.n_parameters:,} trained parameters |" in row
        assert all(f"`{name}={value!r}`" in tables[record.suite.cell] for name, value in record.env_kwargs.items())
    assert len(mine) >= 4 and len(re.findall(r"^\| .+\d\] \|$", text, flags=re.MULTILINE)) == len(mine)
    assert text.count("which knows the problem |") == len(tables)
    assert (folder / f"{env_id}-gpicl-rl-v1.png").stat().st_size > 5000


def test_the_page_of_in_context_rl_and_the_index_lead_to_the_pages(folder: Path):
    guide, index = (ROOT / "docs" / "rl.md").read_text(), (folder / "index.md").read_text()
    for env_id in IDS:
        assert f"[`{env_id}`](generated/environments/{env_id}.md)" in guide
        assert f"[{env_id}]({env_id}.md)" in index[index.index("## In-context reinforcement learning") :]
        assert f"\n{env_id}\n" in index[index.index("toctree") :]
