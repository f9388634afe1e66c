from dataclasses import replace

from small_records import TROUBLE, failed_record, scored_record, suite_record

from gpicl_envs.evaluation.evaluate import evaluate_all
from gpicl_envs.evaluation.records import ScoredRecord
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.report import group, latex_table, markdown_table, write_report
from gpicl_envs.report.model import details
from gpicl_envs.tasks.regression import FunctionDistribution


def test_the_table_states_every_number_with_its_interval(records: list[ScoredRecord]):
    table = markdown_table(group(records))
    best = group(records)["Digits, unseen-task"][0]
    half = 50 * (best.final.high - best.final.low)
    assert f"{100 * best.final.mean:.1f} ± {half:.1f}** (best)" in table
    assert "40 episodes a cell" in table and "paired on these episodes" in table
    assert "&lt;img" in table and "<img" not in table and "\\|" in table


def test_names_are_text_in_latex(records: list[ScoredRecord]):
    table = latex_table(group(records))
    assert r"\textless{}img src=x onerror=alert(1)\textgreater{} \textbar{} \$x\_1\$" in table
    assert table.count(r"\\") == 4 and r"\toprule" in table


def test_failures_are_marked_and_listed_with_their_reason(records: list[ScoredRecord]):
    broken = failed_record(records[0], "ValueError: <b>no</b> & $x_1$")
    columns = group([broken, *records[1:]])
    table = markdown_table(columns)
    assert "| failed" in table and "Failed: 1-nn-cosine, Digits, unseen-task: ValueError: &lt;b&gt;no" in table
    assert r"\textless{}b\textgreater{}" not in latex_table(columns) and "failed" in latex_table(columns)
    alone = markdown_table(group([failed_record(records[0], "no")]))
    assert "| 1-nn-cosine | – | – | failed |" in alone and "No learner got a score." in alone


def test_table_1_has_the_paper_s_rows_marked_as_theirs():
    columns = group([suite_record("mine"), suite_record("oracle")])
    table = markdown_table(columns)
    assert "| GPICL Transformer (published) |  |  | 73.7 |" in table and "published, not run here" in table
    assert "knows the task" in table
    assert "GPICL Transformer (published) & 73.7" in latex_table(columns)
    assert "oracle (knows the task) & " in latex_table(columns)


def test_tables_of_other_suites_have_no_published_rows():
    table = markdown_table(group([suite_record("mine", suite="gpicl-mini")]))
    assert "published" not in table and "published" not in latex_table(
        group([suite_record("mine", suite="gpicl-mini")])
    )


def test_squared_errors_are_better_if_smaller(tmp_path):
    tasks = FunctionDistribution("LinearRegression", length=30)
    made = [make_learner(name, n_features=20, n_classes=1) for name in ("knn", "least-squares", "majority")]
    records = [curve.record() for curve in evaluate_all(made, tasks, episodes=60, final_positions=1)]
    (rows,) = group(records).values()
    assert rows[0].learner == "least-squares" and rows[0].final.mean < 0.01
    assert "mean squared error over the last position" in markdown_table(group(records)).lower()
    assert "least-squares" in write_report(records, tmp_path).read_text(encoding="utf-8")


def test_the_distances_of_predicted_values_are_stated():
    tasks = FunctionDistribution("LinearRegression", length=9, n_features=4, noise=0.5)
    made = [make_learner(name, n_features=4, n_classes=1) for name in ("ridge", "least-squares")]
    columns = group([curve.record() for curve in evaluate_all(made, tasks, episodes=30)])
    lines = markdown_table(columns).splitlines()
    assert any(line.startswith("least-squares, LinearRegression, seen-task: 0.000 ") for line in lines)
    table = details(columns)
    assert (
        table.heads[-2:] == ["distance to least-squares", "distance to optimal-ridge"] and "Distance: " in table.caption
    )
    assert {len(row.cells) for row in table.rows} == {len(table.heads)}
    (record,) = (record for record in columns["LinearRegression, seen-task"] if record.learner == "ridge")
    cell = next(row.cells[-1] for row in table.rows if row.cells[0].text == "ridge")
    assert cell.value == record.distances["optimal-ridge"].mean > 0


def test_accuracies_have_no_distances(records: list[ScoredRecord]):
    assert "istance" not in markdown_table(group(records)) + details(group(records)).caption


def test_four_columns_of_accuracies_have_means():
    records = [replace(scored_record([k, k]), env=f"GPICL-{k}-v0") for k in (2, 4, 6, 8)]
    only_here = replace(records[0], learner=TROUBLE)
    lines = markdown_table(group([*records, only_here])).splitlines()
    assert lines[0].endswith("| mean | interquartile mean |")
    assert any(line.startswith("| a |") and line.split(" | ")[-2].endswith(" (best)") for line in lines)
    assert any(line.startswith("| a |") and line.split(" | ")[-1].startswith("50.0 ± ") for line in lines)
    assert any("onerror" in line and line.endswith("|  |") for line in lines)
    assert "interquartile" not in markdown_table(group(records[:3]))
