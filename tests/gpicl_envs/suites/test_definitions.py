from dataclasses import replace
from hashlib import sha256

import pytest
from small_records import failed_record, scored_record

from gpicl_envs.datasets import DATASETS
from gpicl_envs.evaluation.records import SuiteClaim
from gpicl_envs.registration import environments, rl_environments
from gpicl_envs.suites.definitions import EVERY_DATASET, SUITES, Suite, check_suite_record, find_suite
from gpicl_envs.tasks import make_tasks

# A suite never changes. If this test fails, give the new definition a new name and leave the old one alone.
FROZEN = {
    "gpicl-v1": "e6eb213a7d05df90",
    "gpicl-table1": "a08759ab7dc8eb7b",
    "gpicl-mini": "d840f4d98172e074",
    "gpicl-robust": "4c59fc31d9365299",
    "gpicl-robust-v2": "f2987e3b97ce241b",
    "gpicl-regression": "acb0e6e06ee39267",
    "gpicl-fewshot-v1": "59a2f3add8d0ef57",
    "gpicl-tables-v1": "e39590ac70d2195d",
    "gpicl-rl-v1": "fe125b097263c485",
}


def test_definitions_are_frozen():
    joined = {suite.name: "".join(cell.definition for cell in suite.cells) for suite in SUITES.values()}
    found = {name: sha256(text.encode()).hexdigest()[:16] for name, text in joined.items()}
    assert found == FROZEN


def test_every_cell_names_an_environment_and_its_name_is_unique():
    for suite in SUITES.values():
        names = [cell.name for cell in suite.cells]
        assert len(set(names)) == len(names)
        assert {cell.env for cell in suite.cells} <= environments().keys() | rl_environments().keys()


def test_v1_has_every_dataset_of_ten_classes():
    fit = {name for name, spec in DATASETS.items() if spec.has_env_id and (spec.n_classes or 0) >= 10}
    assert set(EVERY_DATASET) == fit & set(EVERY_DATASET) and len(EVERY_DATASET) == 14


def test_table_1_is_that_of_the_paper():
    suite = find_suite("gpicl-table1")
    assert [cell.name for cell in suite.cells] == ["MNIST", "FashionMNIST", "KMNIST", "Random", "CIFAR10", "SVHN"]
    assert all((cell.length, cell.final_positions, cell.episodes) == (100, 1, 10_000) for cell in suite.cells)


@pytest.mark.parametrize("cell", find_suite("gpicl-fewshot-v1").cells, ids=lambda cell: cell.name)
def test_few_shot_cells_show_every_class_k_times_before_the_query(cell):
    if cell.env == "GPICL-Omniglot-v0":
        assert DATASETS["Omniglot"].n_classes == 1623  # its splits have different classes, those of the test are new
    else:
        tasks = make_tasks(**cell.arguments)
        shown = tasks.sample(64).y
        shots = dict(cell.variant)["shots"]
        assert shown.shape == (64, 5 * shots + 1) and tasks.n_classes == 10  # as agents of all other suites have it
        for row in shown.tolist():
            *context, query = row
            assert sorted(context.count(label) for label in set(context)) == [shots] * 5 and query in context
    assert cell.final_positions == 1 and cell.arguments["split"] == "test"


def test_a_record_that_does_not_match_its_suite_is_refused_by_name():
    cell = find_suite("gpicl-mini").cell("Digits")
    claim = SuiteClaim("gpicl-mini", "Digits", cell.definition)
    shared = {"learner": "knn", "env": cell.env, "protocol": cell.protocol, "seed": cell.seed, "suite": claim}
    record = scored_record([5] * cell.episodes, env_kwargs={"length": 100}, **shared)
    check_suite_record(record)
    check_suite_record(failed_record(record, "no memory"))
    with pytest.raises(ValueError, match="record of knn in gpicl-mini, Digits, has seed=3, but the cell has"):
        check_suite_record(replace(record, seed=3))
    with pytest.raises(ValueError, match="has length=50, but the cell has 100"):
        check_suite_record(replace(record, env_kwargs={"length": 50}))
    with pytest.raises(ValueError, match="has final_positions=10, but the cell has 5"):
        definition = replace(cell, final_positions=5)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(SUITES, "five", Suite("five", "", (definition,)))
            check_suite_record(replace(record, suite=SuiteClaim("five", "Digits", definition.definition)))
    with pytest.raises(ValueError, match="another definition of that cell"):
        check_suite_record(replace(record, suite=replace(claim, definition="0" * 64)))
    with pytest.raises(ValueError, match="Unknown suite 'gpicl-v9'.*gpicl-v1"):
        check_suite_record(replace(record, suite=replace(claim, name="gpicl-v9")))
