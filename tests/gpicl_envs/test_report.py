import shutil

import numpy as np
import pytest

from gpicl_envs.evaluation import evaluate_all
from gpicl_envs.learner import make_learner
from gpicl_envs.records import append_records, read_records
from gpicl_envs.report import compare, group, markdown_table, write_report
from gpicl_envs.tasks import TaskDistribution

TROUBLE = "<img src=x onerror=alert(1)> | $x_1$"


def two_columns() -> list[dict]:
    records = []
    for dataset, question in (("Digits", "unseen-task"), ("Clusters", "unseen-dataset")):
        tasks = TaskDistribution(dataset, split="test", length=30)
        learners = [make_learner(name) for name in ("knn", "centroid", "uniform")]
        records += [curve.record() for curve in evaluate_all(learners, tasks, episodes=40, split=question)]
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
        ('{"schema": "gpicl-record-1", "lear', "line 1 is not JSON"),
        ('{"schema": "other"}\n', "schema 'other', but this version reads 'gpicl-record-1'"),
        ('{"schema": "gpicl-record-1"}\n', "line 1 lacks accuracy, accuracy_high"),
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
    difference = (np.array(second["final_right"]) - np.array(best["final_right"])) / 10
    assert mean == pytest.approx(difference.mean()) and low < mean < high
    assert high - low == pytest.approx(2 * 1.96 * difference.std() / 40**0.5, rel=0.25)
    assert compare(best, best) == (0, 0, 0)


def test_the_table_states_every_number_with_its_interval(records: list[dict]):
    table = markdown_table(group(records))
    row = group(records)["Digits, unseen-task"][0]
    half = 50 * (row["final_high"] - row["final_low"])
    assert f"{100 * row['final']:.1f} ± {half:.1f} (best)" in table
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
    for name in ("table.md", "learning-curves.png", "index.html"):
        a, b = ((page.parent / name).read_bytes() for page in pages)
        assert a == b, name


@pytest.mark.skipif(not shutil.which("chromedriver"), reason="needs Debian's chromium and chromium-driver")
def test_the_page_opens_offline_in_a_browser(records: list[dict], tmp_path):
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

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
        assert len(cells) == 3 and TROUBLE in [row[0] for row in cells]
        best = group(records)["Digits, unseen-task"][0]
        assert any(f"{100 * best['final']:.1f} ±" in row[3] and "best" in row[3] for row in cells)
        for i in range(2):  # three curves and three bands in each plot
            assert len(browser.find_elements("css selector", f"#curve-{i} .scatterlayer .trace")) == 6
            legend = browser.find_elements("css selector", f"#curve-{i} .legendtext")
            assert "1-nn-cosine" in [entry.text for entry in legend]
        first = browser.find_elements("css selector", "#curve-0 .legendtoggle")[0]
        browser.execute_script("arguments[0].dispatchEvent(new MouseEvent('mousedown', {bubbles: true}));", first)
        assert browser.execute_script("return document.querySelectorAll('img[src=x]').length") == 0
        assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
        assert "http" not in browser.execute_script(
            "return performance.getEntriesByType('resource').map(entry => entry.name).join()"
        )
    finally:
        browser.quit()
