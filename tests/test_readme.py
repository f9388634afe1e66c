"""What the README says must run, and its numbers are those of the records."""

import re
from pathlib import Path

import pytest

from gpicl_envs.evaluation.comparisons import compare, mean_difference, mean_final
from gpicl_envs.evaluation.records import read_records
from gpicl_envs.report import group, leaderboard

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
TABLE_1 = sorted((ROOT / "benchmarks" / "results").glob("gpicl-table1*.jsonl"))  # of two commits
IN_CONTEXT = "sklearn:gpicl_agents:InContextClassifier,learner=pretrained:gpicl-general"


def cells_of(text: str, head: str) -> list[list[str]]:
    """The head and the rows of the first Markdown table whose head begins so."""
    found = re.search(rf"^{head}.*?(?=\n\n)", text, flags=re.MULTILINE | re.DOTALL)
    assert found is not None
    head, _, *rows = ([part.strip() for part in line.strip("|").split("|")] for line in found[0].splitlines())
    return [head, *rows]


@pytest.mark.usefixtures("clean_registry")
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_python_blocks_run(number: int):
    exec(compile(BLOCKS[number], f"README block {number}", "exec"), {"__name__": "readme"})


def test_the_plug_in_is_a_proper_learner():
    from gpicl_envs import check_learner

    names: dict = {"__name__": "readme"}
    exec(compile(next(block for block in BLOCKS if "SoftNeighbors" in block), "README plug-in", "exec"), names)
    check_learner(names["SoftNeighbors"]())


def test_every_link_and_picture_exists():
    for target in re.findall(r"\]\(((?!http)[^)]+)\)", README):
        assert (ROOT / target.partition("#")[0]).exists(), target


def test_it_is_one_page():
    assert README.count("\n") <= 150 and len(README.split()) <= 1300


def test_no_line_that_lists_ids_is_out_of_date():
    from gpicl_envs.registration import environments

    assert f"[{len(environments())} environments]" in README


@pytest.mark.parametrize("page", ["README.md", "docs/benchmark.md"])
def test_the_table_of_scores_is_that_of_the_records(page: str):
    """Every number of the comparison, ours and the published ones."""
    table = leaderboard(group([record for file in TABLE_1 for record in read_records(file)]), sizes=False)
    datasets = [head.partition(",")[0] for head in table.heads]
    expected = {
        (row.cells[0].text, dataset): cell.text
        for row in table.rows
        for dataset, cell in zip(datasets, row.cells, strict=True)
    }
    head, *rows = cells_of((ROOT / page).read_text(encoding="utf-8"), r"\| \| MNIST \| Fashion")
    for name, *shown in rows:
        learner = re.sub(r" \((?!pretrained:).*|\*", "", name).replace(", published", " (published)").strip()
        for dataset, given in zip(head[1:], shown, strict=True):
            value = expected[learner, dataset]
            assert given == value or given == "not run" and not value or float(given) == float(value), (
                learner,
                dataset,
            )
    assert len(rows) >= 7


TABLE_ROWS = {
    "**`InContextClassifier`** (`gpicl-general`)": IN_CONTEXT,
    "`pretrained:gpicl-general` itself, without an ensemble": "pretrained:gpicl-general",
    "`pretrained:gpicl-experts`, which learned from MNIST alone": "pretrained:gpicl-experts",
    "random forest": "sklearn:RandomForestClassifier,scaled=True",
    "gradient boosting": "sklearn:GradientBoostingClassifier,scaled=True",
    "nearest neighbours": "sklearn:KNeighborsClassifier,scaled=True",
    "5 nearest neighbours": "sklearn:KNeighborsClassifier,scaled=True",
    "logistic regression": "sklearn:LogisticRegression,scaled=True",
    "SVC": "sklearn:SVC,scaled=True",
}


def test_the_scores_on_small_tables_are_those_of_the_records():
    """Means over the tables, and the leads, paired on the same rows."""
    by_spec: dict[str, list] = {}
    for record in read_records(ROOT / "benchmarks" / "results" / "gpicl-tables-v1.jsonl"):
        by_spec.setdefault(record.spec, []).append(record)
    for records in by_spec.values():
        records.sort(key=lambda record: (record.suite.cell == "iris", record.suite.cell))  # iris is last
    _, *rows = cells_of((ROOT / "docs" / "tables.md").read_text(encoding="utf-8"), r"\| \| 13 tables")
    ours = by_spec[IN_CONTEXT]
    assert len(rows) == len(by_spec)
    for name, *shown in rows:
        spec = TABLE_ROWS[name.removesuffix(", tuned")] + (",tuned=True" if name.endswith(", tuned") else "")
        assert len(by_spec[spec]) == 13
        expected = []
        for last in (13, 12):
            theirs = by_spec[spec][:last]
            lead = [f"{100 * value:+.1f}" for value in mean_difference(ours[:last], theirs)]
            expected += [f"{100 * mean_final(theirs).mean:.1f}", f"{lead[0]} [{lead[1]}, {lead[2]}]"]
        assert shown == ([expected[0], "", expected[2], ""] if by_spec[spec] is ours else expected), name


@pytest.mark.parametrize("row", range(7))
def test_the_differences_in_table_1_are_those_of_the_records(row: int):
    """In points, paired on the same episodes."""
    by_cell = {(r.learner, r.suite.cell): r for file in TABLE_1 for r in read_records(file)}
    own = {"kernel ridge": "kernel-ridge", "LDA": "lda", "label propagation": "label-propagation"}
    own |= {"gpicl-experts": "transformer+kernels+experts", "gpicl-medium": "transformer (pretrained:gpicl-medium)"}
    own |= {
        "ensemble": next(name for name, _ in by_cell if name.startswith("ensemble")),
        "1-NN by cosine": "1-nn-cosine",
    }
    text = (ROOT / "docs" / "benchmark.md").read_text(encoding="utf-8")
    (name, *shown) = cells_of(text, r"\| \| MNIST \| FashionMNIST \| KMNIST \| CIFAR10 \|\n")[1 + row]
    first, second = (own[each.partition(", ")[0]] for each in name.split(" − "))
    for cell, given in zip(("MNIST", "FashionMNIST", "KMNIST", "CIFAR10"), shown, strict=True):
        mean, low, high = (100 * value for value in compare(by_cell[first, cell], by_cell[second, cell]))
        assert given.replace("−", "-") == f"{mean:+.1f} [{low:.1f}, {high:.1f}]", cell
