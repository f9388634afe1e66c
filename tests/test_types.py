"""The types of the three packages in the hands of a user's type checker."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGES = ("gpicl_envs", "gpicl_agents", "gpicl_baselines")

SCRIPT = """
import gymnasium
import torch
import gpicl_envs
from gpicl_envs import Learner, TaskDistribution, evaluate, make_learner

class Nearest(Learner):
    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (x @ x.mT).tril(-1) @ torch.nn.functional.one_hot(y, self.n_classes).float()

tasks = TaskDistribution("MNIST", split="test", length=50)
for learner in (Nearest(), make_learner("knn", tasks=tasks)):
    accuracy = float(evaluate(learner, tasks, episodes=64).final.mean)
env = gymnasium.make("GPICL-MNIST-v0")
"""


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_say_that_they_have_types(package: str):
    (folder,) = find_spec(package).submodule_search_locations
    assert Path(folder, "py.typed").exists()


def run_mypy(script: Path) -> subprocess.CompletedProcess[str]:
    """Check a script strictly; what it imports is read, but only its own mistakes are shown."""
    roots = {str(Path(find_spec(package).origin).parents[1]) for package in PACKAGES}
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--cache-dir", ".", script.name],
        cwd=script.parent,
        env=os.environ | {"MYPYPATH": os.pathsep.join(roots)},
        capture_output=True,
        text=True,
        timeout=800,
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_mypy_accepts_a_users_script_and_finds_a_mistake_in_it(tmp_path: Path):
    pytest.importorskip("mypy", reason="needs gpicl-envs[dev]")
    script = tmp_path / "mine.py"
    script.write_text(SCRIPT)
    done = run_mypy(script)
    assert done.returncode == 0, done.stdout + done.stderr
    script.write_text(SCRIPT.replace("length=50", "length='50'").replace("-> torch.Tensor", "-> str"))
    done = run_mypy(script)
    assert 'Argument "length" to "TaskDistribution" has incompatible type "str"' in done.stdout
    assert 'incompatible with return type "Tensor" in supertype' in done.stdout
