import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpicl_envs.cli import commands, main
from gpicl_envs.learners.registry import parse, parse_spec

AGENT = """
import torch
from gpicl_envs import Learner

class Nearest(Learner):
    "Sums of similarities."
    def predict(self, x, y):
        return (x @ x.mT).tril(-1) @ torch.nn.functional.one_hot(y, self.n_classes).float()

class Cheat(Learner):
    def predict(self, x, y):
        return torch.nn.functional.one_hot(y, self.n_classes).float()
"""


def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the installed command as a user does."""
    command = Path(sys.executable).with_name("gpicl")
    environment = os.environ | {"COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [str(command), *map(str, arguments)], capture_output=True, text=True, cwd=cwd, env=environment, timeout=250
    )


@pytest.mark.parametrize("command", commands())
def test_every_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert "Example" in capsys.readouterr().out


def test_lists_come_from_the_registry(capsys: pytest.CaptureFixture[str]):
    main(["envs"])
    main(["data", "list"])
    output = capsys.readouterr().out
    assert "GPICL-MNIST-v0" in output and "60,000" in output and "CC BY-SA 3.0" in output


def test_train_evaluate_and_report_work_together(tmp_path: Path):
    """The whole thread at its smallest, in a folder of the user's, with an agent of theirs."""
    (tmp_path / "my_agent.py").write_text(AGENT)
    small = "length=12", "n_features=64"
    options = "--preset", "tiny", "--env", "GPICL-Digits-v0", "--env-set", *small, "--out", "run", "--seed", 3
    trained = run("train", *options, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert "last ten" in trained.stdout
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert max(steps) == 30
    again = run("train", *options, cwd=tmp_path)
    assert again.returncode == 2 and "holds a run already: resume it" in again.stderr
    assert run("train", *options, "--resume", cwd=tmp_path).returncode == 0
    learners = "--learners", "run", "my_agent:Nearest", "knn"
    shown = "--env", "GPICL-Digits-v0", "--env-kwargs", *small
    evaluated = run("evaluate", *learners, *shown, "--episodes", 50, cwd=tmp_path)
    assert evaluated.returncode == 0, evaluated.stderr
    assert "| Nearest | 0 |" in evaluated.stdout and "transformer+similarity" in evaluated.stdout
    reported = run("report", "runs/records.jsonl", "--out", "page", cwd=tmp_path)
    assert reported.returncode == 0 and (tmp_path / "page" / "index.html").stat().st_size > 1e6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("user")
    (path / "my_agent.py").write_text(AGENT)
    (path / "broken").mkdir()
    (path / "broken" / "config.json").write_text('{"format": "gpicl-checkpoint-1"}')
    (path / "empty").mkdir()
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train --out r --env GPICL-MNSIT-v0", "Unknown environment 'GPICL-MNSIT-v0'. Did you mean 'GPICL-MNIST-v0'"),
        ("train --out r --preset fats", "Unknown preset 'fats'. Did you mean 'fast'"),
        ("train --out r --learner knn --preset tiny", "has no parameters to train"),
        (
            "train --out r --preset tiny --set widht=3",
            "unexpected keyword argument 'widht'. Did you mean 'width'",
        ),
        ("train --out r --preset tiny --env-set n_features=0", "n_features=0 is not allowed"),
        ("train --out r --preset tiny --steps 0", "steps=0 is not allowed"),
        ("train --out r --preset tiny --set width", "'width' is not an assignment: give NAME=VALUE"),
        ("evaluate --learners kn", "Unknown learner 'kn'. Did you mean 'knn'"),
        ("evaluate --learners my_agent:Cheat", "Not causal"),
        ("evaluate --learners knn --env-kwargs n_tasks=3", "needs new tasks, but n_tasks=3"),
        ("evaluate --learners knn --env-kwargs split=train", "give --protocol"),
        (
            "evaluate --learners knn --env-kwargs feedback=reward",
            "TaskDistribution got an unexpected keyword argument",
        ),
        ("evaluate --learners knn --seed -1", "seed=-1"),
        ("train --out r --preset tiny --env-set feedback=reward", "train learns from labels"),
        ("train --out r --preset tiny --batch-size 0", "num_envs=0"),
        ("train --out r --preset tiny --max-seconds 0", "max_seconds=0"),
        ("quickstart --episodes 0", "episodes=0"),
        ("quickstart --scale -1", "scale=-1"),
        ("evaluate --learners empty", "holds no checkpoint"),
        ("evaluate --learners broken", "lacks arguments, learner, sha256, training"),
        ("evaluate --learners knn --episodes 0", "episodes=0"),
        ("report none.jsonl", "There is no record file none.jsonl"),
        ("check my_agent:Cheat", "Not causal: the prediction at position 0 changed with labels from position 0 on"),
        ("check my_agent:Near", "Did you mean 'Nearest'"),
    ],
)
def test_bad_input_ends_with_one_clear_line(
    arguments: str, message: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as stop:
        main(arguments.split())
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert error.startswith("error: ") and error.count("\n") == 1 and message in error


def test_check_says_that_a_learner_is_fine(folder: Path, monkeypatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(folder)
    main(["check", "my_agent:Nearest"])
    assert "Nearest keeps the protocol" in capsys.readouterr().out


def test_two_learners_of_one_name_are_told_apart(folder: Path, monkeypatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(folder)
    options = "--env GPICL-Digits-v0 --env-kwargs length=5 n_features=8 --episodes 4 --out two.jsonl"
    main(["evaluate", "--learners", "my_agent:Nearest", "my_agent:Nearest", "knn", *options.split()])
    assert capsys.readouterr().out.count("| Nearest |") == 1  # the same spec twice is one row
    for name in ("a", "b"):
        make = f"train --preset tiny --steps 2 --out {name} --env GPICL-Digits-v0 --env-set length=5 n_features=32"
        main(make.split())
    options = options.replace("n_features=8", "n_features=32")
    main(["evaluate", "--learners", "a", "b", *options.replace("two", "ab").split()])
    output = capsys.readouterr().out
    assert "transformer+similarity (a)" in output and "transformer+similarity (b)" in output


def test_assignments_are_python_values_or_text():
    assert parse_spec("m:C,size=(8, 8),k=[1,2],f=3") == ("m:C", {"size": (8, 8), "k": [1, 2], "f": 3})
    assert parse(["a=1", "b=0.5", "c=None", "d=paper", "e=True"]) == {
        "a": 1,
        "b": 0.5,
        "c": None,
        "d": "paper",
        "e": True,
    }


BROKEN = """
import torch
from gpicl_envs import Learner

class Raises(Learner):
    def predict(self, x, y):
        return self.weights @ x
class NoConstructor(Learner):
    def __init__(self): pass
    def predict(self, x, y): return torch.zeros(*y.shape, 10)
class Numpy(Learner):
    def predict(self, x, y): return torch.zeros(*y.shape, self.n_classes).numpy()
class PeeksAtTheMean(Learner):
    def predict(self, x, y): return (x - x.mean(1, keepdim=True))[..., : self.n_classes]
class Dice(Learner):
    def predict(self, x, y): return torch.rand(*y.shape, self.n_classes)
class Gossips(Learner):
    def predict(self, x, y): return (x - x.mean(0))[..., : self.n_classes]
"""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "Raises",
            "raised AttributeError: 'Raises' object has no attribute 'weights' (broken.py, line 7",
        ),
        ("NoConstructor", "call super().__init__(n_features, n_classes) in its constructor"),
        ("Numpy", "returned ndarray, not a torch tensor"),
        ("PeeksAtTheMean", "Not causal: the prediction at position 0 changed with inputs after position 0"),
        ("Dice", "gave other logits when called again"),
        ("Gossips", "Episodes leak: the predictions of episode 0 changed with the other episodes of the batch"),
    ],
)
def test_check_says_in_plain_words_what_is_wrong(name: str, words: str, tmp_path, monkeypatch, capsys):
    (tmp_path / "broken.py").write_text(BROKEN)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SystemExit):
        main(["check", f"broken:{name}"])
    assert words in capsys.readouterr().err
