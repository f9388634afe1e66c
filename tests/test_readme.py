"""What the README says must run, and its numbers are those of the records."""

import re
from pathlib import Path

import pytest

from gpicl_envs.evaluation.records import read_records
from gpicl_envs.report import group, leaderboard

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


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
    root = Path(__file__).parent.parent
    for target in re.findall(r"\]\(((?!http)[^)]+)\)", README):
        assert (root / target.partition("#")[0]).exists(), target


def test_it_is_one_page():
    assert README.count("\n") <= 150 and len(README.split()) <= 1300


def test_no_line_that_lists_ids_is_out_of_date():
    from gpicl_envs.registration import environments

    assert f"[{len(environments())} environments]" in README


@pytest.mark.parametrize("page", ["README.md", "docs/benchmark.md"])
def test_the_table_of_scores_is_that_of_the_records(page: str):
    """Every number of the comparison, ours and the published ones."""
    root = Path(__file__).parent.parent
    files = sorted((root / "benchmarks" / "results").glob("gpicl-table1*.jsonl"))  # of two commits
    table = leaderboard(group([record for file in files for record in read_records(file)]), sizes=False)
    datasets = [head.partition(",")[0] for head in table.heads]
    expected = {
        (row.cells[0].text, dataset): cell.text
        for row in table.rows
        for dataset, cell in zip(datasets, row.cells, strict=True)
    }
    text = (root / page).read_text(encoding="utf-8")
    found = re.search(r"^\| \| MNIST \| Fashion.*?(?=\n\n)", text, flags=re.MULTILINE | re.DOTALL)
    assert found is not None
    head, _, *rows = ([part.strip() for part in line.strip("|").split("|")] for line in found[0].splitlines())
    for name, *shown in rows:
        learner = re.sub(r" \((?!pretrained:).*|\*", "", name).replace(", published", " (published)").strip()
        for dataset, given in zip(head[1:], shown, strict=True):
            value = expected[learner, dataset]
            assert given == value or given == "not run" and not value or float(given) == float(value), (
                learner,
                dataset,
            )
    assert len(rows) >= 7
