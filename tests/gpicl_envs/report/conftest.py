import pytest
from small_records import two_columns

from gpicl_envs.evaluation.records import ScoredRecord


@pytest.fixture(scope="session")
def records() -> list[ScoredRecord]:
    return two_columns()
