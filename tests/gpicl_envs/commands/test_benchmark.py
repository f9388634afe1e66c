from pathlib import Path

import pytest
from command_line import check_error
from full_disk import full_disk

from gpicl_envs.cli import main
from gpicl_envs.evaluation.records import read_records
from gpicl_envs.evaluation.return_records import read_return_records
from gpicl_envs.suites.definitions import SUITES, ProblemCell, Suite


@pytest.fixture
def folder(suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the suite `small`."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_suite_becomes_records_a_table_and_a_page_and_is_not_run_twice(folder: Path, capsys):
    command = "benchmark --suite small --learners knn rogues:Raises --workers 2 --out out".split()
    main(command)
    printed = capsys.readouterr().out
    records = read_records(folder / "out" / "records.jsonl")
    assert {(r.spec, r.suite.cell, r.status) for r in records} == {
        ("knn", "digits", "ok"),
        ("knn", "clusters", "ok"),
        ("rogues:Raises", "digits", "failed"),
        ("rogues:Raises", "clusters", "failed"),
    }
    assert "| 1-nn-cosine |" in printed and "Failed: Raises, digits" in printed
    assert str(Path("out/records.jsonl")) in printed and (folder / "out" / "index.html").stat().st_size > 1e6
    main(command)
    assert "2 of 4 cells are done already" in capsys.readouterr().out


def test_one_cell_of_a_suite_is_kept_for_the_whole(folder: Path, capsys):
    command = "benchmark --suite small --learners knn --workers 1 --out out".split()
    main([*command, "--cell", "clusters"])
    (record,) = read_records(folder / "out" / "records.jsonl")
    assert record.suite.cell == "clusters"
    main(command)
    assert "1 of 2 cells are done already" in capsys.readouterr().out
    assert len(read_records(folder / "out" / "records.jsonl")) == 2


def test_a_benchmark_without_any_score_is_an_error_with_records(folder: Path, capsys):
    with pytest.raises(SystemExit) as stop:
        main("benchmark --suite small --learners rogues:Raises --workers 1".split())
    assert stop.value.code == 2 and "No learner got a score: KeyError: 'no such weight'" in capsys.readouterr().err
    assert len(read_records(folder / "runs" / "small" / "records.jsonl")) == 2  # the default folder


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--suite gpicl-min --learners knn", "Unknown suite 'gpicl-min'. Did you mean 'gpicl-mini'"),
        ("--suite small --learners knn kn", "Unknown learner 'kn'. Did you mean 'knn'"),
        ("--suite small --learners runs/none", "There is no folder 'runs/none'"),
        ("--suite small --learners knn --cell cluster", "Unknown cell of small 'cluster'. Did you mean 'clusters'"),
        ("--suite small --learners knn --time-limit 0", "time_limit=0.0"),
        ("--suite small --learners knn --batch-size 0", "batch_size=0"),
        ("--suite small --learners knn --workers 0", "workers=0"),
        ("--suite small --learners knn --device tpu", "device='tpu'"),
    ],
)
def test_bad_input_ends_with_one_clear_line(folder: Path, options: str, message: str, capsys):
    check_error(f"benchmark {options}", message, capsys)
    assert not list(folder.glob("runs/*/*"))


def test_a_full_disk_costs_the_report_and_not_the_table(folder: Path, capsys):
    command = "benchmark --suite small --learners knn --workers 1 --out out"
    main(command.split())
    page = (folder / "out" / "index.html").read_bytes()
    capsys.readouterr()
    with full_disk(100_000), pytest.raises(SystemExit):
        main(command.split())
    printed = capsys.readouterr()
    assert "| 1-nn-cosine |" in printed.out and "cannot be written: File too large" in printed.err
    assert (folder / "out" / "index.html").read_bytes() == page and not list(folder.rglob("*partial*"))


def test_a_suite_of_in_context_rl_is_run_the_same_way(tmp_path: Path, monkeypatch, capsys):
    cell = ProblemCell("arms", "GPICL-Bandit-v0", "unseen-task", 20, variant=(("n_arms", 3), ("length", 5)))
    monkeypatch.setitem(SUITES, "small-rl", Suite("small-rl", "for tests", (cell,)))
    monkeypatch.chdir(tmp_path)
    command = "benchmark --suite small-rl --learners uniform --workers 1".split()
    main(command)
    printed = capsys.readouterr().out
    assert "uniform, arms: return" in printed and "| player | arms, unseen-task |" in printed
    (record,) = read_return_records(tmp_path / "runs" / "small-rl" / "records.jsonl")
    assert record.suite.cell == "arms" and (tmp_path / "runs" / "small-rl" / "regret.png").exists()
    main(command)
    assert "1 of 1 cells are done already" in capsys.readouterr().out
    check_error("benchmark --suite small-rl --learners knn", "No learner got a score: check: ValueError: 'knn'", capsys)
