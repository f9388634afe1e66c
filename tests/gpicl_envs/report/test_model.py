from dataclasses import replace

import pytest
from small_records import TROUBLE, failed_record, scored_record, suite_record

from gpicl_envs.evaluation.provenance import Provenance
from gpicl_envs.evaluation.records import Estimate, ScoredRecord
from gpicl_envs.report import group, leaderboard
from gpicl_envs.report.model import FAILED, LEAD, ORACLE, PUBLISHED, details, failures, sources


def test_every_row_has_a_cell_for_every_head(records: list[ScoredRecord]):
    columns = group([failed_record(records[0], "no"), *records[1:]])
    for table in (leaderboard(columns), leaderboard(columns, sizes=False), details(columns)):
        assert all(len(row.cells) == len(table.heads) for row in table.rows)
    published = leaderboard(group([suite_record("a")]))
    assert all(len(row.cells) == len(published.heads) for row in published.rows) and published.source


def test_cells_carry_text_the_number_to_sort_by_a_note_and_an_emphasis(records: list[ScoredRecord]):
    columns = group([*records[:2], failed_record(records[2], "no weights"), *records[3:]])
    rows = {row.cells[0].text: row for row in leaderboard(columns).rows}
    best = columns["Digits, unseen-task"][0]
    _, parameters, state, final, _ = rows[best.learner].cells
    assert final.value == 100 * best.final.mean and final.text.startswith(f"{final.value:.1f} ± ")
    assert final.note == "best" and final.emphasis == LEAD
    assert (parameters.text, parameters.value) == ("0", 0) and state.text == f"{state.value:,}"
    failed = rows[TROUBLE].cells[3]
    assert (failed.text, failed.value, failed.note, failed.emphasis) == ("failed", None, "no weights", FAILED)
    assert failures(columns) == [f"{TROUBLE}, Digits, unseen-task: no weights"]


def test_kinds_of_rows():
    oracle = replace(suite_record("knower"), spec="oracle")
    kinds = {row.cells[0].text: row.kind for row in leaderboard(group([suite_record("oracl"), oracle])).rows}
    assert kinds["oracl"] == "" and kinds["knower"] == ORACLE and kinds["SGD (published)"] == PUBLISHED
    named_alike = {row.cells[0].text: row.kind for row in leaderboard(group([scored_record(learner="oracle")])).rows}
    assert named_alike == {"oracle": ""}


def test_details_have_every_estimate_with_its_interval(records: list[ScoredRecord]):
    table = details(group([failed_record(records[0], "no"), *records[1:]]))
    assert len(table.rows) == 5
    record = next(r for r in records[1:] if r.env == "GPICL-Digits-v0" and r.learner == "centroid")
    row = next(row for row in table.rows if [c.text for c in row.cells[:2]] == ["centroid", "Digits, unseen-task"])
    shown = dict(zip(table.heads, row.cells, strict=True))
    for head, estimate, factor, digits in (
        ("final", record.final, 100, 1),
        ("area", record.area, 100, 1),
        ("NLL", record.final_nll, 1, 3),
        ("ECE", record.ece, 100, 1),
    ):
        assert estimate is not None
        mean, low, high = (factor * value for value in estimate)
        assert shown[head].text == f"{mean:.{digits}f}" and shown[head].value == pytest.approx(mean)
        assert shown[head].note == f"[{low:.{digits}f}, {high:.{digits}f}]"
    assert shown["regret"].text == "0.00" and shown["p"].text == ""
    plain = details(group([scored_record()])).rows[0]  # with no likelihood
    assert [cell.text for cell in plain.cells[6:10]] == [""] * 4
    never = replace(record, examples_to={"0.5": [3, 2, None], "0.7": [None, None, None]})
    reached = dict(zip(table.heads, details(group([never])).rows[0].cells, strict=True))
    assert (reached["to 50 %"].text, reached["to 50 %"].note) == ("3", "[2, never]")
    assert (reached["to 70 %"].text, reached["to 70 %"].value) == ("never", None)


def test_sources_are_listed_once_each():
    made = Provenance("cpu", "a machine", "gpicl evaluate", "2026-01-02T03:04:05", {"torch": "2.8"}, "abc")
    one = scored_record(provenance=made)
    assert sources([one, replace(one, learner="b", final=Estimate(0.55, 0.5, 0.6))]) == [
        "torch 2.8; commit abc; a machine; episodes of seed 0; 2026-01-02; gpicl evaluate"
    ]
    assert sources([replace(one, provenance=Provenance("cuda"))]) == ["commit None; cuda; episodes of seed 0"]


def test_forgetting_is_shown_if_a_task_returns():
    plain = scored_record(learner="a")
    returned = scored_record(learner="b", forgetting=Estimate(0.25, 0.2, 0.3), relearning=Estimate(0.1, 0.0, 0.2))
    assert "forgetting" not in details(group([plain])).heads
    table = details(group([plain, returned]))
    assert table.heads[-2:] == ["forgetting", "relearning"] and "Forgetting" in table.caption
    cells = {row.cells[0].text: [cell.text for cell in row.cells[-2:]] for row in table.rows}
    assert cells == {"a": ["", ""], "b": ["25.0", "10.0"]}
