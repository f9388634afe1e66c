import shutil

import numpy as np
import pytest

from gpicl_envs.evaluation.evaluate import evaluate_all
from gpicl_envs.evaluation.records import append_records, drop_partial_line, read_records
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.report import compare, group, latex_table, markdown_table, merge, write_report
from gpicl_envs.suites.definitions import find_suite
from gpicl_envs.tasks.classification import TaskDistribution
from gpicl_envs.tasks.regression import FunctionDistribution

TROUBLE = "<img src=x onerror=alert(1)> | $x_1$"


def two_columns() -> list[dict]:
    records = []
    for dataset, question in (("Digits", "unseen-task"), ("Clusters", "unseen-dataset")):
        tasks = TaskDistribution(dataset, split="test", length=30)
        learners = [make_learner(name) for name in ("knn", "centroid", "uniform")]
        records += [curve.record() for curve in evaluate_all(learners, tasks, episodes=40, protocol=question)]
    records[-1]["learner"] = records[2]["learner"] = TROUBLE
    return records


@pytest.fixture(scope="module")
def records() -> list[dict]:
    return two_columns()


def test_records_survive_the_file(records: list[dict], tmp_path):
    path = tmp_path / "deep" / "records.jsonl"
    append_records(path, records[:1])
    append_records(path, records[1:])
    assert read_records(path) == records


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no records"),
        ('{"schema": "gpicl-record-2", "lear', "line 1 is not JSON"),
        ('{"schema": "other"}\n', "schema 'other', but this version reads 'gpicl-record-2'"),
        ('{"schema": "gpicl-record-2"}\n', "line 1 lacks"),
        ("3\n", "schema 'int'"),
    ],
)
def test_damaged_record_files_name_the_line(tmp_path, content: str, message: str):
    path = tmp_path / "records.jsonl"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_records(path)


def test_a_missing_record_file_says_what_writes_one(tmp_path):
    with pytest.raises(ValueError, match="gpicl evaluate --out"):
        read_records(tmp_path / "none.jsonl")


def test_the_best_comes_first_and_differences_are_paired(records: list[dict]):
    columns = group(records)
    assert list(columns) == ["Digits, unseen-task", "Clusters, unseen-dataset"]
    best, second = columns["Digits, unseen-task"][:2]
    assert best["final"] >= second["final"]
    mean, low, high = compare(second, best)
    difference = (np.array(second["final_scores"]) - np.array(best["final_scores"])) / 10
    assert mean == pytest.approx(difference.mean()) and low < mean < high
    assert high - low == pytest.approx(2 * 1.96 * difference.std() / 40**0.5, rel=0.25)
    assert compare(best, best) == (0, 0, 0)


def test_the_table_states_every_number_with_its_interval(records: list[dict]):
    table = markdown_table(group(records))
    row = group(records)["Digits, unseen-task"][0]
    half = 50 * (row["final_high"] - row["final_low"])
    assert f"{100 * row['final']:.1f} ± {half:.1f}** (best)" in table
    assert "40 episodes a cell" in table and "paired on these episodes" in table
    assert "&lt;img" in table and "<img" not in table and "\\|" in table


def test_different_episodes_are_not_put_side_by_side(records: list[dict]):
    other = records[1] | {"seed": 99}
    with pytest.raises(ValueError, match="Digits, unseen-task were made on different episodes"):
        group([records[0], other])


def test_a_later_record_replaces_an_earlier_one(records: list[dict]):
    newer = records[0] | {"final": 0.123}
    assert [row["final"] for row in group([records[0], newer])["Digits, unseen-task"]] == [0.123]


def test_reports_are_the_same_byte_for_byte(records: list[dict], tmp_path):
    pages = [write_report(records, tmp_path / name) for name in "ab"]
    names = sorted(path.name for path in pages[0].parent.iterdir())
    assert {"table.md", "table.tex", "learning-curves.svg", "reliability.png", "state-size.png"} < set(names)
    for name in names:
        a, b = ((page.parent / name).read_bytes() for page in pages)
        assert a == b, name


@pytest.mark.skipif(not shutil.which("chromedriver"), reason="needs Debian's chromium and chromium-driver")
def test_the_page_opens_offline_in_a_browser(records: list[dict], tmp_path):
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService
    from selenium.webdriver.support.wait import WebDriverWait

    page = write_report(records, tmp_path, title="A <title> & more")
    options = ChromeOptions()
    for flag in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--window-size=1300,2400",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options=options, service=ChromeService(shutil.which("chromedriver")))
    try:
        browser.get(page.as_uri())
        rows = browser.find_elements("css selector", "#scores tbody tr")
        cells = [[cell.text for cell in row.find_elements("css selector", "td")] for row in rows]
        assert browser.find_element("css selector", "h1").text == "A <title> & more"
        head = browser.find_elements("css selector", "#scores thead button")[3]

        def order():
            found = browser.find_elements("css selector", "#scores tbody tr td:nth-child(4)")
            return [float(cell.text.split(" ")[0]) for cell in found]

        head.click()
        assert order() == sorted(order(), reverse=True) and len(set(order())) == 3
        assert head.find_element("xpath", "..").get_attribute("aria-sort") == "descending"
        head.send_keys("\n")  # the keyboard sorts too
        assert order() == sorted(order())
        assert len(cells) == 3 and TROUBLE in [row[0] for row in cells]
        best = group(records)["Digits, unseen-task"][0]
        assert any(f"{100 * best['final']:.1f} ±" in row[3] and "best" in row[3] for row in cells)
        for i in range(2):  # three curves and three bands in each plot
            assert len(browser.find_elements("css selector", f"#curve-{i} .scatterlayer .trace")) == 6
            legend = browser.find_elements("css selector", f"#curve-{i} .legendtext")
            assert "1-nn-cosine" in [entry.text for entry in legend]
        first = browser.find_elements("css selector", "#curve-0 .legendtoggle")[0]
        toggle = "for (const kind of ['mousedown', 'mouseup']) "
        toggle += "arguments[0].dispatchEvent(new MouseEvent(kind, {bubbles: true}));"
        browser.execute_script(toggle, first)
        drawn = "return document.querySelectorAll('#curve-0 .scatterlayer .trace').length"
        WebDriverWait(browser, 10).until(lambda page: page.execute_script(drawn) == 4)  # a curve and its band are gone
        assert browser.execute_script("return document.querySelectorAll('img[src=x]').length") == 0
        assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
        assert "http" not in browser.execute_script(
            "return performance.getEntriesByType('resource').map(entry => entry.name).join()"
        )
    finally:
        browser.quit()


def failed(record: dict, why: str) -> dict:
    scores = {key for key in record if key.startswith(("final", "area", "accuracy", "nll", "ece"))}
    return {key: value for key, value in record.items() if key not in scores} | {"status": "failed", "error": why}


def test_failed_rows_are_marked_with_their_reason_and_come_last(records: list[dict], tmp_path):
    broken = failed(records[0], "ValueError: <b>no</b> & $x_1$")
    columns = group([broken, *records[1:]])
    assert columns["Digits, unseen-task"][-1] is broken
    table = markdown_table(columns)
    assert "| failed" in table and "Failed: 1-nn-cosine, Digits, unseen-task: ValueError: &lt;b&gt;no" in table
    assert r"\textless{}b\textgreater{}" not in latex_table(columns) and "failed" in latex_table(columns)
    page = write_report([broken, *records[1:]], tmp_path).read_text(encoding="utf-8")
    assert "&lt;b&gt;no&lt;/b&gt; &amp; $x_1$" in page and "<b>no</b>" not in page


def test_names_are_text_in_latex(records: list[dict]):
    table = latex_table(group(records))
    assert r"\textless{}img src=x onerror=alert(1)\textgreater{} \textbar{} \$x\_1\$" in table
    assert table.count(r"\\") == 4 and r"\toprule" in table


def suite_record(record: dict, learner: str, **more) -> dict:
    cell = find_suite("gpicl-table1").cells[0]
    suite = {"name": "gpicl-table1", "cell": cell.name, "definition": cell.definition}
    shared = {"env": cell.env, "protocol": cell.protocol, "seed": cell.seed, "episodes": cell.episodes, "suite": suite}
    shown = {"env_kwargs": record["env_kwargs"] | {"length": 100}, "final_positions": 1, "spec": learner}
    return record | shared | shown | {"learner": learner, "fingerprint": learner, "date": "2026-01-01"} | more


def test_table_1_stands_beside_the_paper_s_marked_as_theirs(records: list[dict], tmp_path):
    rows = [suite_record(records[0], "mine"), suite_record(records[1], "oracle")]
    table = markdown_table(group(rows))
    assert "| GPICL Transformer (published) |  |  | 73.7 |" in table and "published, not run here" in table
    assert "knows the task" in table
    assert "GPICL Transformer (published) & 73.7" in latex_table(group(rows))


def test_files_of_several_machines_join_and_conflicts_are_refused(records: list[dict]):
    mine, other = suite_record(records[0], "a"), suite_record(records[1], "b")
    assert [row["learner"] for row in merge({"x": [mine], "y": [other, mine]})] == ["a", "b"]
    newer = suite_record(records[0], "a", date="2026-02-01", machine="another")
    assert merge({"x": [mine, failed(mine, "later")], "y": [newer]}) == [newer]
    with pytest.raises(ValueError, match="x and y have different learners of the name 'a' in MNIST, unseen-task"):
        merge({"x": [mine], "y": [newer | {"fingerprint": "others"}]})
    definition = mine["suite"] | {"definition": "0" * 64}
    with pytest.raises(ValueError, match="record of a in gpicl-table1, MNIST, was made with another definition"):
        merge({"x": [mine | {"suite": definition}]})
    with pytest.raises(ValueError, match="different episodes.*data="):
        group(merge({"x": [mine], "y": [other | {"data": "other images"}]}))


def test_one_name_is_one_learner_and_one_table_is_one_suite(records: list[dict]):
    mine = suite_record(records[0], "a")
    fashion = find_suite("gpicl-table1").cell("FashionMNIST")
    there = {"suite": mine["suite"] | {"cell": fashion.name, "definition": fashion.definition}}
    elsewhere = mine | there | {"env": fashion.env, "protocol": fashion.protocol}
    assert len(merge({"x": [mine, elsewhere]})) == 2
    with pytest.raises(ValueError, match="x has two learners of the name 'a': in MNIST.*FashionMNIST"):
        merge({"x": [mine, elsewhere | {"fingerprint": "edited"}]})
    cell = find_suite("gpicl-mini").cell("MNIST")
    shown = {"env_kwargs": mine["env_kwargs"], "final_positions": 10, "episodes": cell.episodes}
    mini = mine | shown | {"suite": {"name": "gpicl-mini", "cell": "MNIST", "definition": cell.definition}}
    with pytest.raises(ValueError, match="suites gpicl-mini and gpicl-table1: report each alone"):
        merge({"x": [mine], "y": [mini]})
    with pytest.raises(ValueError, match="has length=200, but the cell says 100"):
        merge({"x": [mine | {"env_kwargs": mine["env_kwargs"] | {"length": 200}}]})
    plain = {key: value for key, value in records[0].items() if key not in ("suite", "fingerprint")}
    changed = plain | {"final_scores": [0] * plain["episodes"]}
    with pytest.raises(ValueError, match="different learners of the name"):
        merge({"x": [plain], "y": [changed]})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"final": 0.0}, "line 1: final=0.0, but its final_scores say"),
        ({"final": float("nan")}, "final=nan cannot be"),
        ({"final_scores": [1, 2]}, "final_scores holds 2 episodes of 40"),
        ({"env_kwargs": None}, "env_kwargs=None cannot be"),
        ({"learner": 3}, "learner=3 cannot be"),
        ({"status": "good"}, "good"),
        ({"wall_seconds": "long"}, "wall_seconds='long' cannot be"),
    ],
    ids=str,
)
def test_damaged_records_are_refused_by_line(records: list[dict], damage: dict, message: str, tmp_path):
    append_records(tmp_path / "r.jsonl", [records[0] | damage])
    with pytest.raises(ValueError, match=message):
        read_records(tmp_path / "r.jsonl")


def test_a_last_line_is_cut_only_where_it_is_not_whole(records: list[dict], tmp_path):
    path = tmp_path / "r.jsonl"
    append_records(path, records[:2])
    path.write_text(path.read_text().rstrip("\n"))
    drop_partial_line(path)
    assert read_records(path) == records[:2] and path.read_text().endswith("\n")
    path.write_text(path.read_text() + '{"schema": "gpi')
    drop_partial_line(path)
    assert read_records(path) == records[:2]


def test_squared_errors_are_better_if_smaller(tmp_path):
    tasks = FunctionDistribution("LinearRegression", length=30)
    made = [make_learner(name, n_features=20, n_classes=1) for name in ("knn", "least-squares", "majority")]
    records = [curve.record() for curve in evaluate_all(made, tasks, episodes=60, final_positions=1)]
    (rows,) = group(records).values()
    assert rows[0]["learner"] == "least-squares" and rows[0]["final"] < 0.01
    assert "mean squared error over the last position" in markdown_table(group(records)).lower()
    assert "least-squares" in write_report(records, tmp_path).read_text(encoding="utf-8")
