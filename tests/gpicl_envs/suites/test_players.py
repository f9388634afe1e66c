"""Suites of in-context RL: resumable, and each player on the cells that it can play."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from small_jobs import fails, inline
from small_players import MODULE

from gpicl_envs.evaluation.records import SuiteClaim
from gpicl_envs.evaluation.return_records import ReturnRecord, read_return_records
from gpicl_envs.jobs.local import local_runner
from gpicl_envs.registration import rl_environments
from gpicl_envs.report import group
from gpicl_envs.rl.kinds import make_problems
from gpicl_envs.suites.definitions import SUITES, ProblemCell, Suite, check_suite_record, find_suite
from gpicl_envs.suites.players import benchmark_players

# The second cell's player refuses what the first cell's takes.
OF_FIVE = """
class OfFive(Last):
    name = "of-five"
    def check_can_play(self, made):
        if made.n_actions != 5:
            raise CannotPlayError(f"of-five has five actions, not {made.n_actions}")
"""


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Suite[ProblemCell]:
    """Two small bandits, and players of the user's on the import path."""
    cells = tuple(
        ProblemCell(f"arms-{n}", "GPICL-Bandit-v0", "unseen-task", 30, variant=(("n_arms", n), ("length", 10)))
        for n in (5, 3)
    )
    made = Suite("small-rl", "for tests", cells)
    monkeypatch.setitem(SUITES, "small-rl", made)
    source = MODULE + OF_FIVE
    (tmp_path / "own_players.py").write_text(source + "\nfrom gpicl_envs.rl.players.base import CannotPlayError\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_players", raising=False)
    return made


@pytest.mark.slow
def test_every_player_plays_the_cells_that_it_can_and_a_bad_one_is_a_row_with_the_reason(suite, tmp_path: Path):
    specs = ["uniform", "own_players:OfFive", "own_players:Stumbles", "own_players:OfMazes"]
    with local_runner(2, 60.0) as run:
        records = benchmark_players(suite, specs, tmp_path / "r.jsonl", run, command="gpicl benchmark")
    found = {(record.spec, record.suite.cell): record for record in records}
    assert found.keys() == {
        *(("uniform", cell) for cell in ("arms-5", "arms-3")),
        ("own_players:OfFive", "arms-5"),
        *(("own_players:Stumbles", cell) for cell in ("arms-5", "arms-3")),
    }
    assert found["own_players:Stumbles", "arms-3"].error == "KeyError: 'no key'"
    uniform = found["uniform", "arms-3"]
    assert uniform.suite == SuiteClaim("small-rl", "arms-3", suite.cells[1].definition) and uniform.episodes == 30
    assert uniform.env_kwargs["n_arms"] == 3 and uniform.provenance.command == "gpicl benchmark"
    assert read_return_records(tmp_path / "r.jsonl")
    assert list(group(records)) == ["arms-5, unseen-task", "arms-3, unseen-task"]
    for record in records:
        check_suite_record(record)


def test_a_stopped_benchmark_is_resumed_and_gives_the_same_records(suite, tmp_path: Path):
    lines: list[str] = []
    path, specs = tmp_path / "r.jsonl", ["uniform", "own_players:Last"]
    benchmark_players(suite.only(["arms-5"]), specs, path, inline)
    records = benchmark_players(suite, specs, path, inline, report=lines.append)
    assert lines[0] == "2 of 4 cells are done already" and len(lines) == 3 and "return " in lines[1]
    whole = benchmark_players(suite, specs, tmp_path / "whole.jsonl", inline)
    assert [record.returns for record in records] == [record.returns for record in whole]
    assert len(read_return_records(path)) == 4
    benchmark_players(suite, specs, path, inline, rerun=True)
    assert len(read_return_records(path)) == 8


def test_a_changed_player_plays_again(suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "r.jsonl"
    first = benchmark_players(suite, ["own_players:Last"], path, inline)
    module = tmp_path / "own_players.py"
    module.write_text(
        module.read_text().replace("last + 1", "(last + 2)")
    )  # of another size, which bytecode is known by
    monkeypatch.delitem(sys.modules, "own_players")
    second = benchmark_players(suite, ["own_players:Last"], path, inline)
    assert len(read_return_records(path)) == 4 and first[0].returns != second[0].returns


def test_bad_input_is_refused_before_anything_is_played(suite, tmp_path: Path):
    with pytest.raises(ValueError, match="Unknown player 'nobody'"):
        benchmark_players(suite, ["uniform", "nobody"], tmp_path / "r.jsonl", fails)
    assert not (tmp_path / "r.jsonl").exists()
    with pytest.raises(ValueError, match="No player can play any cell of small-rl: own_players:OfMazes"):
        benchmark_players(suite, ["own_players:OfMazes"], tmp_path / "r.jsonl", inline)
    (record, _) = benchmark_players(suite, ["uniform"], tmp_path / "r.jsonl", inline)
    assert isinstance(record, ReturnRecord)
    with pytest.raises(ValueError, match="uniform in small-rl, arms-5, has seed=1, but the cell has"):
        check_suite_record(replace(record, seed=1))
    with pytest.raises(ValueError, match="has length=11, but the cell has 10"):
        check_suite_record(replace(record, env_kwargs=record.env_kwargs | {"length": 11}))


@pytest.mark.parametrize("cell", find_suite("gpicl-rl-v1").cells, ids=lambda cell: cell.name)
def test_cells_of_the_suite_are_unseen_problems_of_the_size_of_their_name(cell: ProblemCell):
    assert cell.env in rl_environments()
    made = make_problems(**cell.arguments)
    assert made.n_tasks is None and made.split == "test" and cell.episodes == 1000
    sizes = {"arms": made.n_actions, "pulls": made.length, "episodes": made.n_episodes}
    words = cell.name.split("-")
    named = {unit: int(number) for number, unit in zip(words, words[1:], strict=False) if number.isdigit()}
    assert named and all(sizes[unit] == number for unit, number in named.items())
