"""The documentation: what its generator writes, and that all of it builds without a warning."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from browser import needs_browser

import gpicl_envs
from gpicl_envs.cli import commands as commands_of_gpicl
from gpicl_envs.evaluation.records import read_records
from gpicl_envs.learners.registry import find_class, learner_targets
from gpicl_envs.registration import environments, rl_environments
from gpicl_envs.tasks import KINDS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
pytest.importorskip("sphinx", reason="the documentation needs the extra docs")
pytest.importorskip("docstring_parser", reason="the documentation needs the extra docs")


@pytest.fixture(scope="module", autouse=True)
def on_path():
    sys.path.insert(0, str(DOCS))
    yield
    sys.path.remove(str(DOCS))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from generate import generate

    folder = tmp_path_factory.mktemp("generated") / "pages"
    generate(folder)
    return folder


def test_every_registered_id_has_a_page(pages: Path):
    registered = {env_id for env_id in gymnasium.registry if env_id.startswith("GPICL-")}
    assert registered == environments().keys() | rl_environments().keys() and len(registered) >= 25
    assert {path.stem for path in (pages / "environments").glob("*.md")} == registered | {"index"}
    index = (pages / "environments" / "index.md").read_text()
    assert all(f"[{env_id}]({env_id}.md)" in index for env_id in registered)


@pytest.mark.parametrize("env_id", environments())
def test_a_page_has_the_spaces_variants_and_a_picture(env_id: str, pages: Path):
    page = (pages / "environments" / f"{env_id}.md").read_text()
    env = gymnasium.make(env_id)
    assert f"`{env.observation_space['x']}`" in page  # type: ignore[index]
    assert f"| `{env.observation_space['y']}` | `{env.action_space}` |" in page  # type: ignore[index]
    tasks = env.unwrapped.tasks.arguments  # type: ignore[attr-defined]
    for name in (tasks.keys() - KINDS.keys()) | {"action", "feedback", "render_mode", "device"}:
        assert re.search(rf"^\| `{name}` \| .+ \| .+ \|$", page, flags=re.MULTILINE), name
    assert (pages / "environments" / f"{env_id}.png").stat().st_size > 5000


@pytest.mark.parametrize("env_id", environments() | rl_environments())
def test_a_page_has_the_sections_of_gymnasiums_pages(env_id: str, pages: Path):
    page = (pages / "environments" / f"{env_id}.md").read_text()
    wanted = (
        *("Description", "Observation space", "Action space", "Starting state", "Rewards", "Episode end"),
        *("Arguments", "Version history"),
    )
    found = dict(re.findall(r"^## (.+)\n\n(.+)$", page, flags=re.MULTILINE))
    assert [title for title in found if title in wanted] == list(wanted)
    assert "zeros" in page[page.index("## Starting state") : page.index("## Rewards")]
    assert found["Version history"] == f"- v{gymnasium.spec(env_id).version}: the first, in gpicl-envs 0.1.0."


def test_facts_come_from_the_data(pages: Path):
    page = (pages / "environments" / "GPICL-CIFAR10-v0.md").read_text()
    assert "| shape of an input | 32 × 32 × 3 |" in page and "| training examples | 50,000 |" in page
    clusters = gpicl_envs.load_dataset("Clusters").bayes_accuracy
    assert clusters is not None
    assert f"{100 * clusters:.1f} %" in (pages / "environments" / "GPICL-Clusters-v0.md").read_text()
    tables = (pages / "environments" / "GPICL-SyntheticTables-v0.md").read_text()
    assert "rules that label them are drawn at random" in tables and "decision trees, or Gaussian clusters" in tables
    mixture = (pages / "environments" / "GPICL-GeneralMixture-v0.md").read_text()
    assert "| 0.6 | `prior='SyntheticTables'` |" in mixture and "`active_classes=(2, 9)`" in mixture


def test_reference_scores_are_those_of_the_records(pages: Path):
    """Every record of an id is a row of its page, with its interval; nothing else is."""
    records = read_records(ROOT / "benchmarks" / "results" / "quickstart.jsonl")
    page = (pages / "environments" / "GPICL-MNIST-v0.md").read_text()
    mine = [record for record in records if record.env == "GPICL-MNIST-v0"]
    for record in mine:
        final, low, high = (f"{100 * value:.1f}" for value in record.final)
        assert f"| {record.learner} | {record.n_parameters:,} | {final} | [{low}, {high}] |" in page
    assert "Made by `gpicl quickstart`" in page
    regression = (pages / "environments" / "GPICL-LinearRegression-v0.md").read_text()
    assert "No scores are committed for this id yet" in regression and "95 % interval" not in regression


@pytest.mark.parametrize("name", learner_targets())
def test_every_argument_of_every_learner_is_documented(name: str):
    from docstrings import arguments

    learner = find_class(learner_targets()[name])
    assert [argument.name for argument in arguments(learner)] == list(inspect.signature(learner).parameters)


def test_pages_need_no_data(own_data: Path, tmp_path: Path):
    """Where a dataset's files are not on the machine, its page has all but the picture, and says how to get it."""
    from environment_pages import write_environment_pages

    write_environment_pages(tmp_path / "pages", [f"GPICL-{name}-v0" for name in ("CIFAR10", "Digits", "Array")])
    page = (tmp_path / "pages" / "GPICL-CIFAR10-v0.md").read_text()
    assert "gpicl data download CIFAR10" in page and "| `n_tasks` |" in page and "`Discrete(10)`" in page
    assert "| classes | 10 |" in page and "v0.png" not in page and str(own_data) not in page
    assert "**On a lossy copy**: 2,000 test images of CIFAR-10" in page  # of which its scores are
    assert (tmp_path / "pages" / "GPICL-Digits-v0.png").exists()
    assert "Your own." in (tmp_path / "pages" / "GPICL-Array-v0.md").read_text()


def test_a_page_of_a_small_dataset_shows_its_classes(own_data: Path, tmp_path: Path, clean_registry):
    """At the defaults there are as many as the dataset has, ten at most."""
    from environment_pages import write_environment_pages

    x, y = np.random.default_rng(0).normal(size=(150, 6)), np.arange(150) % 3
    gpicl_envs.register_dataset("ThreeBlobs", x, y)
    write_environment_pages(tmp_path / "pages", ["GPICL-ThreeBlobs-v0"])
    page = (tmp_path / "pages" / "GPICL-ThreeBlobs-v0.md").read_text()
    assert "`Box(0.0, 1.0, (3,), float32)` | `Discrete(3)` |" in page and "Discrete(10)" not in page
    assert (tmp_path / "pages" / "GPICL-ThreeBlobs-v0.png").exists()


def test_every_learner_command_and_public_name_has_its_place(pages: Path):
    learners = (pages / "learners.md").read_text()
    assert all(f"\n## {name}\n" in learners for name in learner_targets())
    assert "| `regularization` | `0.003` |" in learners
    commands = (pages / "command-line.md").read_text()
    assert all(f"\nusage: gpicl {name} " in commands for name in commands_of_gpicl())
    assert "gpicl-small playground" in (pages / "site" / "playground" / "index.html").read_text()
    api = (pages / "api.md").read_text()
    assert all(f"\n## {name}\n" in api for name in gpicl_envs.__all__)
    modules = (pages / "modules" / "index.md").read_text()
    assert "Learners against each other, from their records alone" in modules
    for path in (ROOT / "gpicl_envs" / "rl").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        assert f"[`{name}`]({name}.md)" in modules and (pages / "modules" / f"{name}.md").is_file()


def test_markdown_in_docstrings_becomes_restructured_text():
    from docstrings import to_restructured_text

    lines = ["### Spaces", "| a | b |", "|---|---|", "| `x` | y |", "", "(M, *shape), `y`", "*so* and **kw"]
    text = "\n".join(to_restructured_text(lines))
    assert ".. rubric:: Spaces" in text
    assert "   :header-rows: 1\n\n   * - a\n     - b\n   * - `x`\n     - y" in text
    assert "(M, \\*shape), `y`\n*so* and **kw" in text


def test_no_letter_follows_a_name_in_backticks():
    """The site of documentation would show the backticks; building it, which is slow, finds the same."""
    sources = [path for room in ("gpicl_envs", "agents", "baselines") for path in (ROOT / room).rglob("*.py")]
    stuck = [
        f"{path}: {found[0]}" for path in sources for found in re.finditer(r"(?<!`)`[^`\s]+`\w+", path.read_text())
    ]
    assert len(sources) > 200 and not stuck, stuck


def test_relative_links_of_the_repository_s_pages_are_right_one_folder_down():
    from generate import linked

    text = "[a](docs/images/a.png) [b](CHANGELOG.md) [c](NOTICE) [d](https://e.org) [f](#g)"
    assert linked(text) == ("[a](../images/a.png) [b](changelog.md) [c](../../NOTICE) [d](https://e.org) [f](#g)")


def test_the_blocks_of_the_tutorial_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    run_blocks(DOCS / "tutorial.md")
    output = capsys.readouterr().out
    assert "(784,) (10,)" in output and "torch.Size([8, 50, 784])" in output and "1-nn-cosine" in output
    assert "majority" in output and (tmp_path / "runs" / "chance.jsonl").is_file()


@pytest.mark.usefixtures("clean_registry")
@pytest.mark.parametrize("name", sorted(path.stem for path in DOCS.glob("*.md") if path.stem != "tutorial"))
def test_the_blocks_of_other_pages_run(name: str):
    run_blocks(DOCS / f"{name}.md")


def run_blocks(path: Path) -> None:
    """Run the Python blocks of a page, one after the other, with the names of those before."""
    names: dict = {"__name__": "__main__"}
    for block in re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.DOTALL):
        exec(compile(block, str(path.relative_to(ROOT)), "exec"), names)


def test_every_page_is_reached_from_the_first():
    seen, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        seen.add(page)
        text = page.read_text(encoding="utf-8")
        named = re.findall(r"\]\(([^)#:]+\.md)[#)]", text)
        named += [f"{line}.md" for line in re.findall(r"^[\w/-]+$", text, flags=re.MULTILINE)]  # of a toctree
        found = [(page.parent / name).resolve() for name in named if (page.parent / name).is_file()]
        waiting += [path for path in found if path not in seen and "generated" not in path.parts]
    pages = {path for path in DOCS.rglob("*.md") if not {"generated", "_build"} & set(path.parts)}
    assert pages == seen


def test_the_animation_is_one_episode_and_small(tmp_path: Path):
    from PIL import Image

    from make_gif import main

    main(learner="knn", env="GPICL-Digits-v0", length=6, out=tmp_path / "episode.gif")
    animation = Image.open(tmp_path / "episode.gif")
    assert animation.n_frames == 7 and animation.size == (760, 356)  # type: ignore[attr-defined]
    assert (DOCS / "images" / "episode.gif").stat().st_size < 1.5e6


def test_the_picture_of_decision_boundaries(tmp_path: Path):
    from PIL import Image

    from make_boundary import main

    main(learner="knn", rows=20, grid=8, out=tmp_path / "boundary.png")
    assert Image.open(tmp_path / "boundary.png").size == Image.open(DOCS / "images" / "decision-boundary.png").size
    assert (DOCS / "images" / "decision-boundary.png").stat().st_size < 5e5


@needs_browser
def test_the_picture_of_the_playground(tmp_path: Path):
    from PIL import Image

    from make_playground import main

    main(examples=1, out=tmp_path / "playground.png")
    assert Image.open(tmp_path / "playground.png").size == Image.open(DOCS / "images" / "playground.png").size
    assert (DOCS / "images" / "playground.png").stat().st_size < 3e5


@pytest.mark.slow  # more than a minute of one core; CI builds the site by itself
def test_the_site_builds_without_a_warning(tmp_path: Path):
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", tmp_path / "trees", DOCS, tmp_path]
    built = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=280)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "playground" / "index.html").is_file() and (tmp_path / "playground.html").is_file()
    page = (tmp_path / "generated" / "environments" / "GPICL-MNIST-v0.html").read_text()
    assert "GPICL-MNIST-v0.png" in page and "<table" in page
    for path in tmp_path.rglob("*.html"):
        assert not re.search(r'<(script|link|img)[^>]+(src|href)="https?://', path.read_text()), path


def test_built_pages_are_ignored_by_git():
    for path in ("docs/_build/html/index.html", "docs/generated/api.md"):
        done = subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT)
        if done.returncode == 128:
            pytest.skip("not a git checkout")
        assert done.returncode == 0, path
