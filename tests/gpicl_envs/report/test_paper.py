import pytest

from gpicl_envs.report.paper import COLUMNS, PUBLISHED, SUITE
from gpicl_envs.suites.definitions import find_suite


def test_the_columns_are_the_cells_of_the_suite():
    assert tuple(cell.name for cell in find_suite(SUITE).cells) == COLUMNS


def test_the_rows_are_those_of_the_paper_s_table():
    """Spot checks against the figure of arXiv 2212.04458, Table 1."""
    assert list(PUBLISHED) == ["SGD", "MAML", "VSML", "LSTM", "GPICL Transformer"]
    assert all(len(row) == len(COLUMNS) for row in PUBLISHED.values())
    assert PUBLISHED["GPICL Transformer"][COLUMNS.index("MNIST")] == 73.70
    assert PUBLISHED["VSML"][COLUMNS.index("SVHN")] == 17.45
    assert PUBLISHED["SGD"][COLUMNS.index("KMNIST")] == 37.89


@pytest.mark.parametrize("learner", PUBLISHED)
def test_every_entry_is_an_accuracy_over_512_or_768_sequences(learner: str):
    for percent in PUBLISHED[learner]:
        misses = [abs(percent - 100 * round(percent / 100 * episodes) / episodes) for episodes in (512, 768)]
        assert min(misses) < 0.0051, percent
