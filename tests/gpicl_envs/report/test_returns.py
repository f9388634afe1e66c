"""Tables and the page of in-context RL, from records alone."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from small_players import return_records
from small_records import TROUBLE, failed_record

from gpicl_envs.evaluation.return_records import ReturnRecord
from gpicl_envs.report import group, merge
from gpicl_envs.report.model import LEAD, ORACLE
from gpicl_envs.report.returns import (
    returns_details,
    returns_leaderboard,
    returns_markdown,
    returns_table,
    write_returns_report,
)


@pytest.fixture(scope="module")
def records() -> list[ReturnRecord]:
    return return_records()


def test_every_estimate_of_a_player_is_in_its_row_best_first(records: list[ReturnRecord]):
    table = returns_details(group(records))
    assert [row.cells[0].text for row in table.rows] == ["knows", "greedy", "uniform"]
    knows, greedy, uniform = (dict(zip(table.heads, row.cells, strict=True)) for row in table.rows)
    assert table.rows[0].kind == ORACLE and knows["difference to the best"].text == "knows the problem"
    assert greedy["difference to the best"].text == "best" and greedy["player"].emphasis == LEAD
    record = records[1]
    for head, values in (("return", record.total_return), ("regret", record.total_regret), ("gain", record.gain)):
        assert greedy[head].text == f"{values.mean:z.2f}"
        assert greedy[head].note == f"[{values.low:z.2f}, {values.high:z.2f}]"
    assert uniform["first episode"].value == records[2].episode_return.mean[0]
    assert uniform["last episode"].value == records[2].episode_return.mean[-1]
    difference = uniform["difference to the best"]
    expected = records[2].total_return.mean - record.total_return.mean
    assert difference.value == pytest.approx(expected, abs=1e-3) and difference.text.startswith("-")


def test_the_leaderboard_has_a_column_for_each_environment(records: list[ReturnRecord]):
    other = replace(records[2], env="GPICL-Maze-v0")
    failed = failed_record(replace(records[1], env="GPICL-Maze-v0"), "no memory")
    columns = group([*records, other, failed])
    board = returns_leaderboard(columns)
    assert board.heads == ["player", "Bandit, unseen-task", "Maze, unseen-task"]
    cells = {row.cells[0].text: [cell.text for cell in row.cells[1:]] for row in board.rows}
    assert cells["knows"][1] == "" and cells["greedy"][1] == "failed"
    assert cells["uniform"][0] == cells["uniform"][1] and " ± " in cells["uniform"][0]
    assert "column" in returns_details(columns).heads


def test_records_of_other_problems_cannot_share_a_column(records: list[ReturnRecord]):
    with pytest.raises(ValueError, match="made on different episodes .seed=0 and 1"):
        group([records[0], replace(records[1], seed=1)])


def test_an_argument_that_a_record_does_not_have_reads_as_its_default(records: list[ReturnRecord]):
    first, second, *_ = records
    old = replace(second, env_kwargs={name: value for name, value in second.env_kwargs.items() if name != "n_arms"})
    for pair in ([first, old], [old, first]):
        ((_, column),) = group(pair).items()
        assert len(column) == 2 and all(record.env_kwargs == first.env_kwargs for record in column)


def test_few_problems_are_noted():
    assert "Note: Bandit, unseen-task has 5 problems, fewer than 16" in returns_markdown(return_records(problems=5))


def test_files_are_merged_and_the_last_record_of_a_player_counts(records: list[ReturnRecord]):
    known = [replace(record, fingerprint=record.learner) for record in records]
    again = replace(known[2], wall_seconds=9.0)
    assert merge({"a": known[:2], "b": [known[2], again]}) == [*known[:2], again]
    with pytest.raises(ValueError, match="different learners of the name 'uniform'"):
        merge({"a": [known[2]], "b": [replace(known[2], fingerprint="other")]})


def test_the_page_holds_the_tables_and_the_picture_and_no_name_is_code(records: list[ReturnRecord], tmp_path: Path):
    failed = failed_record(replace(records[2], learner="sick"), "no memory")
    shown = [*records[:2], replace(records[2], learner=TROUBLE), failed]
    page = write_returns_report(shown, tmp_path, title="Bandits")
    text = page.read_text()
    assert "<h1>Bandits</h1>" in text and "<img src=x" not in text and "sick, Bandit, unseen-task: no memory" in text
    assert len(re.findall("data:image/png;base64,", text)) == 1
    for name in ("regret.png", "regret.svg"):
        assert (tmp_path / name).stat().st_size > 1000
    assert (tmp_path / "table.md").read_text() == returns_table(shown)
    latex = (tmp_path / "table.tex").read_text()
    assert r"\textbf{" in latex and latex.count(r"\\") == 5
