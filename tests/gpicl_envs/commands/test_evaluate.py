import sys
from hashlib import sha256
from pathlib import Path

import pytest
from command_line import AGENT, check_error
from full_disk import full_disk

from gpicl_envs.cli import main
from gpicl_envs.evaluation.records import read_records


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("user")
    (path / "my_agent.py").write_text(AGENT)
    (path / "broken").mkdir()
    (path / "broken" / "config.json").write_text('{"format": "gpicl-checkpoint-1"}')
    (path / "empty").mkdir()
    return path


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("evaluate --learners kn", "Unknown learner 'kn'. Did you mean 'knn'"),
        ("evaluate --learners my_agent:Cheat", "Not causal"),
        ("evaluate --learners knn --env-kwargs n_tasks=3", "needs new tasks, but n_tasks=3"),
        ("evaluate --learners knn --env-kwargs split=train", "give --protocol"),
        ("evaluate --learners knn --env-kwargs feedback=reward", "TaskDistribution got an unexpected keyword argument"),
        ("evaluate --learners knn --seed -1", "seed=-1"),
        ("evaluate --learners empty", "holds no checkpoint"),
        ("evaluate --learners broken", "is incomplete: it does not give arguments, learner, sha256, training"),
        ("evaluate --learners knn --episodes 0", "episodes=0"),
        ("evaluate --learners knn --env-kwargs dataset=None", "dataset=None is not allowed: give a name"),
        ("evaluate --learners knn --env-kwargs dataset=3", "dataset=3 is not allowed: give a name"),
        ("evaluate --learners my_agent:Stumbles", "my_agent:Stumbles raised KeyError: 'no key' (my_agent.py, line"),
        ("evaluate --learners my_agent:NotMade", "my_agent:NotMade raised TypeError: not today (my_agent.py, line"),
        ("evaluate --learners typing:Any", "typing:Any"),
        ("evaluate --learners pretrained:gpicl-small,k=3", "unexpected keyword argument 'k'. It takes none."),
        ("evaluate --learners sklearn:SVC,C=abc", "SVC cannot be fitted"),
    ],
)
def test_bad_input_ends_with_one_clear_line(
    line: str, message: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(folder)
    check_error(line, message, capsys)


HUGE = """
import torch
from gpicl_envs import Learner

class Huge(Learner):
    predicts_values = True
    name = "so\\n\\x1b[31mhuge"
    def predict(self, x, y):
        return torch.full((*y.shape, 1), 1e25)
"""


def test_a_result_that_no_file_keeps_is_a_failed_row_and_others_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "huge.py").write_text(HUGE)
    monkeypatch.delitem(sys.modules, "huge", raising=False)
    options = "--env GPICL-LinearRegression-v0 --env-kwargs length=5 n_features=3 --episodes 4 --out r.jsonl"
    main(["evaluate", "--learners", "least-squares", "huge:Huge", *options.split()])
    printed = capsys.readouterr().out
    kept, failed = read_records(tmp_path / "r.jsonl")
    assert (kept.status, failed.status) == ("ok", "failed") and "=inf: Input should be a finite number" in failed.error
    assert failed.learner == r"so\n\x1b[31mhuge" and "\x1b" not in printed and "Failed: so" in printed


def test_a_report_is_suggested_only_of_a_file_that_can_be_reported(folder: Path, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    command = "evaluate --learners uniform --env GPICL-Digits-v0 --env-kwargs length=5 --episodes 4 --out".split()
    main([*command, "my records.jsonl"])
    assert "To draw them: gpicl report 'my records.jsonl'\n" in capsys.readouterr().out
    main([*command, "my records.jsonl", "--seed", "1"])
    printed = capsys.readouterr().out
    assert "To draw them" not in printed and "made on different episodes (seed=0 and 1)" in printed


def test_two_learners_of_one_name_are_told_apart(folder: Path, monkeypatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(folder)
    options = "--env GPICL-Digits-v0 --env-kwargs length=5 n_features=8 --episodes 4 --out two.jsonl"
    main(["evaluate", "--learners", "my_agent:Nearest", "my_agent:Nearest", "knn", *options.split()])
    assert capsys.readouterr().out.count("| Nearest | 0 |") == 1  # the same spec twice is one row
    for name in ("a", "b"):
        make = f"train tiny --steps 2 --out {name} --env GPICL-Digits-v0 --env-kwargs length=5 n_features=32"
        main(make.split())
    options = options.replace("n_features=8", "n_features=32")
    main(["evaluate", "--learners", "a", "b", *options.replace("two", "ab").split()])
    output = capsys.readouterr().out
    assert "transformer+similarity (a)" in output and "transformer+similarity (b)" in output


def test_a_full_disk_costs_the_records_and_not_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    options = "--learners knn --env GPICL-Digits-v0 --env-kwargs length=10 n_features=16 --episodes 4"
    with full_disk(100), pytest.raises(SystemExit):
        main(f"evaluate {options} --out {tmp_path / 'r.jsonl'}".split())
    printed = capsys.readouterr()
    assert "| 1-nn-cosine |" in printed.out and "r.jsonl cannot be written: File too large" in printed.err
    assert printed.err.count("\n") == 1 and (tmp_path / "r.jsonl").read_bytes() == b""


def test_a_private_seed_is_known_only_afterwards(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """It is drawn anew, proved by its sha256, kept in the records, and makes the same result again."""
    line = ["evaluate", "--learners", "knn", "uniform", "--env", "GPICL-Digits-v0", "--episodes", "8", "--out"]
    for name in "ab":
        main([*line, str(tmp_path / name), "--seed", "private"])
    (one, same), (other, _) = (read_records(tmp_path / name) for name in "ab")
    assert one.seed == same.seed != other.seed and one.seed > 2**32
    before, _, after = capsys.readouterr().out.partition("| ")
    assert sha256(str(one.seed).encode()).hexdigest() in before and str(one.seed) not in before + after
    main([*line, str(tmp_path / "c"), "--seed", str(one.seed)])
    again = read_records(tmp_path / "c")[0]
    assert again.area_scores == one.area_scores != other.area_scores
