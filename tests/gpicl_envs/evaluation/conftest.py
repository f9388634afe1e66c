import pytest

from gpicl_envs.tasks.classification import TaskDistribution


@pytest.fixture(scope="module")
def tasks() -> TaskDistribution:
    return TaskDistribution("Digits", split="test", length=30)
