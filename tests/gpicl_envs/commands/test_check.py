from pathlib import Path

import pytest
from command_line import AGENT, check_error

from gpicl_envs.cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("user")
    (path / "my_agent.py").write_text(AGENT)
    return path


def test_check_says_that_a_learner_is_fine(folder: Path, monkeypatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(folder)
    main(["check", "my_agent:Nearest"])
    assert "Nearest passes the check" in capsys.readouterr().out


def test_arguments_follow_the_learner_or_are_given_apart(capsys: pytest.CaptureFixture[str]):
    main(["check", "knn,k=3"])
    main(["check", "knn", "--learner-kwargs", "k=3", "metric=euclidean"])
    main(["check", "knn,k=3", "--learner-kwargs", "k=1"])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "3-nn-cosine",
        "3-nn-euclidean",
        "1-nn-cosine",
    ]


def test_check_meets_episodes_as_long_as_the_environments(folder: Path, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    main(["check", "my_agent:Nearest", "--env", "GPICL-Digits-v0", "--env-kwargs", "length=30", "n_features=9"])
    assert "passes the check on 30 examples" in capsys.readouterr().out
    main(["check", "least-squares", "--env", "GPICL-LinearRegression-v0", "--env-kwargs", "length=9", "n_features=4"])
    assert "passes the check on 9 examples" in capsys.readouterr().out
    main(["check", "my_agent:SixtyFour,length=100"])
    assert "SixtyFour passes the check on 100 examples" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("check my_agent:SixtyFour", "SixtyFour predicts episodes of 8 examples, but not of 100"),
        ("evaluate --learners my_agent:SixtyFour", "SixtyFour predicts episodes of 8 examples, but not of 100"),
        (
            "evaluate --learners my_agent:SixtyFour,length=100 --env-kwargs length=120",
            "SixtyFour predicts episodes of 8 examples, but not of 120",
        ),
        ("check knn --env GPICL-MNIST-v0 --env-kwargs length=0", "length=0"),
        ("check knn --env-kwargs length=9", "give --env too"),
        ("check knn --env GPICL-MNST-v0", "Unknown environment 'GPICL-MNST-v0'"),
        ("check my_agent:Cheat", "Not causal: the prediction at position 0 changed with labels from position 0 on"),
        ("check my_agent:Near", "Did you mean 'Nearest'"),
        ("check knn --learner-kwargs kk=3", "unexpected keyword argument 'kk'"),
        ("check oracle --env GPICL-Clusters-v0", "give it to `gpicl evaluate` alone"),
    ],
)
def test_bad_input_ends_with_one_clear_line(
    line: str, message: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(folder)
    check_error(line, message, capsys)


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
