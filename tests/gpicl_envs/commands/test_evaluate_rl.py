import sys
from pathlib import Path

import pytest
from command_line import check_error
from full_disk import full_disk
from small_players import MODULE

from gpicl_envs.cli import main
from gpicl_envs.evaluation.return_records import read_return_records


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with players of the user's."""
    (tmp_path / "own_players.py").write_text(MODULE)
    monkeypatch.delitem(sys.modules, "own_players", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_players_become_a_table_records_and_a_page(folder: Path, capsys: pytest.CaptureFixture[str]):
    command = "evaluate-rl --players uniform own_players:Last own_players:Agent --env-kwargs length=20 --problems 50"
    main(command.split())
    printed = capsys.readouterr().out
    assert "| player | return | regret | first episode | last episode | gain | difference to the best |" in printed
    records = read_return_records(folder / "runs" / "rl" / "records.jsonl")
    assert [record.learner for record in records] == [
        "uniform",
        "win-stay (own_players:Last)",
        "win-stay (own_players:Agent)",
    ]
    uniform, last, agent = records
    assert (uniform.env, uniform.protocol, uniform.episodes) == ("GPICL-Bandit-v0", "unseen-task", 50)
    assert uniform.env_kwargs["split"] == "test" and last.returns == agent.returns != uniform.returns
    assert len({record.fingerprint for record in records}) == 3 and uniform.provenance.command
    page = (folder / "runs" / "rl" / "index.html").read_text()
    assert "win-stay" in page and "Regret within a problem" in page


def test_a_second_run_adds_to_the_page_and_gpicl_report_draws_the_file(folder: Path, capsys):
    command = "evaluate-rl --env-kwargs length=5 --problems 20 --out out --players".split()
    main([*command, "uniform"])
    main([*command, "own_players:Last"])
    assert "win-stay" in (folder / "out" / "index.html").read_text()
    main("report out/records.jsonl --out report --title Bandits".split())
    page = (folder / "report" / "index.html").read_text()
    assert "<h1>Bandits</h1>" in page and "uniform" in page and "win-stay" in page
    main("evaluate --learners uniform --env GPICL-Digits-v0 --env-kwargs length=5 --episodes 4 --out r.jsonl".split())
    capsys.readouterr()
    check_error("report r.jsonl out/records.jsonl", "out/records.jsonl is of in-context RL", capsys)


def test_seen_tasks_are_those_of_training(folder: Path):
    main("evaluate-rl --players uniform --protocol seen-task --env-kwargs n_tasks=4 length=5 --problems 40".split())
    (record,) = read_return_records(folder / "runs" / "rl" / "records.jsonl")
    assert record.protocol == "seen-task" and record.env_kwargs["split"] == "train"
    assert set(record.task_id) == set(range(4)) and record.interval_note.startswith("4 tasks")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--players nobody", "Unknown player 'nobody'."),
        ("--players knn", "which cannot act"),
        ("--players own_players:OfMazes", "of-mazes plays DarkRoom, not Bandit: choose another player."),
        ("--players own_players:Draws", "draws acts differently at step 0"),
        ("--players own_players:Stumbles", "own_players:Stumbles raised KeyError: 'no key' (own_players.py, line"),
        ("--players nowhere:Player", "there is no module 'nowhere'"),
        ("--players runs/none", "There is no folder 'runs/none'"),
        ("--players uniform --env GPICL-MNIST-v0", "GPICL-MNIST-v0 reveals labels"),
        ("--players uniform --env GPICL-Nothing-v0", "Unknown environment of in-context RL 'GPICL-Nothing-v0'"),
        ("--players uniform --problems 0", "problems=0"),
        ("--players uniform --problems 1", "problems=1 is not allowed: give a whole number of at least 2"),
        ("--players uniform --seed -1", "seed=-1"),
        ("--players uniform --env-kwargs split=train", "give --protocol"),
        ("--players uniform --env-kwargs n_tasks=3", "needs new tasks, but n_tasks=3"),
        ("--players uniform --env-kwargs arms=3", "Bandit got an unexpected keyword argument 'arms'"),
        ("--players uniform --device nothing", "device='nothing' cannot be used here"),
    ],
)
def test_bad_input_ends_with_one_clear_line(options: str, message: str, capsys: pytest.CaptureFixture[str]):
    check_error(f"evaluate-rl {options} --out out", message, capsys)


def test_a_full_disk_is_one_clear_line(capsys: pytest.CaptureFixture[str]):
    with full_disk(100), pytest.raises(SystemExit):
        main("evaluate-rl --players uniform --env-kwargs length=5 --problems 4".split())
    printed = capsys.readouterr()
    assert "records.jsonl cannot be written: File too large" in printed.err and printed.err.count("\n") == 1


def test_records_that_cannot_be_compared_are_kept_and_the_page_has_the_new_ones(folder: Path, capsys):
    command = "evaluate-rl --env-kwargs length=5 --problems 20 --out out --players".split()
    main([*command, "uniform"])
    capsys.readouterr()
    for seed, player in (("1", "uniform"), ("1", "own_players:Last")):
        main([*command, player, "--seed", seed])
        assert "cannot be compared with the earlier ones of out/records.jsonl: " in capsys.readouterr().out
    assert [record.seed for record in read_return_records(folder / "out" / "records.jsonl")] == [0, 1, 1]
    assert "win-stay" in (folder / "out" / "index.html").read_text()
