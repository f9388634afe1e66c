"""Wheel and sdist as they would be published: what is in them, and that the wheel works alone, with and without extras.

It is installed into a new environment, where links to the packages that its metadata require, and to no others, save
downloading them: an import of anything else fails.
"""

import json
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterable
from email.message import Message
from email.parser import Parser
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import gpicl_envs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).parent.parent
LARGEST = 40e6  # bytes
SOURCES = {
    "gpicl_envs": "gpicl_envs",
    "agents/gpicl_agents": "gpicl_agents",
    "baselines/gpicl_baselines": "gpicl_baselines",
}
# What needs each extra: it must work with it, and without it must say how to get it.
USES = {
    "cluster": "from gpicl_envs.jobs.ray import ray_runner\nwith ray_runner('auto', 1.0): pass",
    "export": "main(['export', '--env', 'GPICL-Digits-v0', '--episodes', '2', '--out', 'episodes.h5'])",
    "features": "gpicl_envs.load_dataset('Digits', image_size=32, features='efficientnet-lite0')",
    "human": "env = gymnasium.make('GPICL-Digits-v0', render_mode='human')\nenv.reset(seed=0)\nenv.close()",
    "rl": "from gpicl_envs.wrappers.sb3 import Sb3VecEnv\nfrom gpicl_envs.wrappers.torchrl import TorchRLVecEnv\n"
    "Sb3VecEnv('GPICL-Digits-v0', num_envs=2).reset()\nTorchRLVecEnv('GPICL-Digits-v0', num_envs=2).reset()",
    "stream": "from gpicl_agents.estimators.stream import StreamClassifier\n"
    "StreamClassifier('knn').learn_one({'a': 1.0}, True)",
    "mlflow": "main(['train', 'tiny', '--steps', '1', '--trackers', 'mlflow', '--out', 'in-mlflow'])",
    "tensorboard": "main(['train', 'tiny', '--steps', '1', '--trackers', 'tensorboard', '--out', 'in-tensorboard'])",
    "wandb": "import os\nos.environ['WANDB_MODE'] = 'offline'\n"
    "main(['train', 'tiny', '--steps', '1', '--trackers', 'wandb', '--out', 'in-wandb'])",
    "vision": "from gpicl_envs.datasets.torchvision import torchvision_class\ntorchvision_class('USPS', 'USPS')",
}
# Not tried: all tests need dev, `make docs` docs, test_form_readers.py parquet,
# tests/gpicl_agents/sharing hub and onnx.
NOT_USED = {"dev", "docs", "hub", "onnx", "parquet"}
RUN = """
import json, sys
import gymnasium, gpicl_envs
from gpicl_envs.cli import main
sys.path.remove("")  # as the installed command
errors = {}
for name, code in json.loads(sys.argv[1]).items():
    try:
        exec(code)
        errors[name] = ""
    except (Exception, SystemExit) as error:
        errors[name] = f"{type(error).__name__}: {error}"
    except BaseException as error:
        errors[name] = repr(error)
open("errors.json", "w").write(json.dumps(errors))
"""
COMMANDS = """
main(["--help"])
main(["envs"])
main(["data", "verify", "MNIST", "Digits"])
small = ["--env", "GPICL-Digits-v0", "--env-kwargs", "length=8", "n_features=16"]
main(["check", "knn"])
main(["evaluate", "--learners", "pretrained:gpicl-small", "--env-kwargs", "length=8", "--episodes", "2"])
main(["train", "tiny", *small, "--steps", "2", "--out", "run"])
main(["evaluate", "--learners", "./run", "sklearn:GaussianNB", *small, "--episodes", "2"])
main(["report", "runs/records.jsonl", "--out", "page"])
page = open("page/index.html", encoding="utf-8").read()
assert "transformer" in page and "gaussian" in page.lower() and len(page) > 1e6
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the sdist."""
    pytest.importorskip("hatchling", reason="releases are built with hatchling, of the extra dev")
    folder = tmp_path_factory.mktemp("dist")
    build(ROOT, folder, "wheel", "sdist")
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


def build(source: Path, out: Path, *targets: str) -> None:
    options = [word for target in targets for word in ("-t", target)]
    subprocess.run([sys.executable, "-m", "hatchling", "build", *options, "-d", str(out)], cwd=source, check=True)


def contents(wheel: Path) -> dict[str, int]:
    """Checksums by file name, without the list of checksums."""
    with zipfile.ZipFile(wheel) as archive:
        return {info.filename: info.CRC for info in archive.infolist() if not info.filename.endswith("/RECORD")}


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def test_the_wheel_holds_what_git_tracks_of_the_packages_and_nothing_else(published):
    tracked = subprocess.run(["git", "ls-files", *SOURCES], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    expected = set()
    for line in tracked.stdout.splitlines():
        folder = next(folder for folder in SOURCES if line.startswith(f"{folder}/"))
        expected.add(SOURCES[folder] + line.removeprefix(folder))
    held = contents(published[0])
    assert {name for name in held if ".dist-info/" not in name} == expected
    for name in ("LICENSE", "NOTICE"):
        assert any(path.endswith(f".dist-info/licenses/{name}") for path in held)


def test_both_are_at_most_40_megabytes(published):
    for path in published:
        assert path.stat().st_size <= LARGEST, f"{path.name}: {path.stat().st_size / 1e6:.1f} MB"


def test_the_sdist_builds_the_same_wheel(published, tmp_path: Path):
    wheel, sdist = published
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    build(source, tmp_path / "again", "wheel")
    assert contents(next((tmp_path / "again").glob("*.whl"))) == contents(wheel)


def test_the_metadata_are_true(published):
    told = metadata(published[0])
    version = gpicl_envs.__version__
    assert (told["Name"], told["Version"], told["License-Expression"]) == ("gpicl-envs", version, "MIT")
    assert told["Requires-Python"] == ">=3.11" and told.get_all("Project-URL")
    minors = re.findall(r"Python :: 3\.(\d+)", "\n".join(told.get_all("Classifier") or []))
    assert minors == ["11", "12", "13", "14"]
    assert set(told.get_all("Provides-Extra") or []) == {*USES, *NOT_USED}


def test_the_version_is_the_same_everywhere():
    version = re.escape(gpicl_envs.__version__)
    for name, pattern in {
        "CITATION.cff": rf"^version: {version}$",
        "README.md": rf"^  version = {{{version}}},$",
        "CHANGELOG.md": rf"\A# Changelog\n\n## {version}( |$)",
    }.items():
        assert re.search(pattern, (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE), name


class Installed:
    """A new environment with the wheel and links to the packages that it requires."""

    def __init__(self, wheel: Path, folder: Path) -> None:
        self.folder, self.work = folder, folder / "elsewhere"
        venv.create(folder / "venv", with_pip=False)
        self.bin = folder / "venv" / "bin"
        (self.site,) = (folder / "venv" / "lib").glob("python*/site-packages")
        pip = [sys.executable, "-m", "pip", "--python", str(self.bin / "python"), "install", "-q", "--no-compile"]
        subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True)
        self.requirements = [Requirement(text) for text in metadata(wheel).get_all("Requires-Dist") or []]
        self.required = needed(self.requirements, "")
        link(self.required.values(), self.site)
        self.work.mkdir()

    def run(self, command: list[str], extra: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command of the environment in another folder, with the packages of an extra."""
        added = self.folder / f"packages-of-{extra}"
        if extra and not added.exists():
            added.mkdir()
            more = needed(self.requirements, extra)
            link((more[name] for name in more.keys() - self.required.keys()), added)
        dropped = ("PYTHONPATH", "GPICL_DATA_DIR", "VIRTUAL_ENV")
        environment = {name: value for name, value in os.environ.items() if name not in dropped}
        environment |= {
            "GPICL_DATA_DIR": str(self.folder / "data"),
            "GPICL_CACHE_DIR": str(self.folder / "cache"),
            "SDL_VIDEODRIVER": "dummy",
            "COLUMNS": "200",
        }
        environment |= {"PYTHONPATH": str(added)} if extra else {}
        program, *words = command
        return subprocess.run(
            [str(self.bin / program), *words], cwd=self.work, env=environment, capture_output=True, text=True
        )

    def errors(self, uses: dict[str, str], extra: str = "") -> dict[str, str]:
        """Run pieces of code in one process, and return the error of each, or an empty text."""
        done = self.run(["python", "-c", RUN, json.dumps(uses)], extra)
        assert done.returncode == 0, done.stderr
        found: dict[str, str] = json.loads((self.work / "errors.json").read_text())
        return {name: error + (done.stderr if error.startswith("SystemExit") else "") for name, error in found.items()}


def needed(requirements: list[Requirement], extra: str) -> dict[str, Distribution]:
    """All that must be installed for requirements with an extra, by name; skips if something is missing here."""
    found: dict[str, Distribution] = {}
    waiting = [(requirement, {extra}) for requirement in requirements]
    while waiting:
        requirement, extras = waiting.pop()
        if requirement.marker and not any(requirement.marker.evaluate({"extra": name}) for name in extras):
            continue
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if name in found and not requirement.extras:
            continue
        try:
            found[name] = distribution(requirement.name)
        except PackageNotFoundError:
            pytest.skip(f"{requirement.name} of the extra {extra!r} is not installed")
        waiting += [(Requirement(text), requirement.extras | {""}) for text in found[name].requires or []]
    return found


def link(packages: Iterable[Distribution], site: Path) -> None:
    """Link what packages have installed: whole folders, but for those in which several packages have files."""
    shared = {name for name, owners in packages_distributions().items() if len(set(owners)) > 1}
    for package in packages:
        for file in package.files or []:
            if file.parts[0] == "..":
                continue  # a program
            path = site / (file if file.parts[0] in shared else file.parts[0])
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to(Path(str(package.locate_file(path.relative_to(site)))).resolve())


@pytest.fixture(scope="module")
def installed(published, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(published[0], tmp_path_factory.mktemp("installed"))


def test_without_extras_the_commands_work_from_another_folder(installed: Installed):
    version = installed.run(["gpicl", "--version"])
    assert version.stdout == f"gpicl-envs {gpicl_envs.__version__}\n", version.stderr
    doctor = installed.run(["gpicl", "doctor"])
    assert doctor.returncode == 0 and str(installed.site / "gpicl_envs") in doctor.stdout, doctor.stderr
    assert re.search(r"^tensorboard +tensorboard is missing", doctor.stdout, flags=re.MULTILINE)
    assert installed.errors({"commands": COMMANDS}) == {"commands": ""}


def test_without_extras_what_needs_one_names_it(installed: Installed):
    for extra, error in installed.errors(USES).items():
        assert f"gpicl-envs[{extra}]" in error or (extra == "stream" and "river" in error), (extra, error)


@pytest.mark.parametrize("extra", USES)
def test_an_extra_brings_what_it_promises(extra: str, installed: Installed):
    error = installed.errors({extra: USES[extra]}, extra)[extra]
    assert not error or (extra == "cluster" and "No Ray cluster answers" in error), error
