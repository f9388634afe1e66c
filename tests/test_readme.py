"""What the README says must run."""

import re
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import pytest

from gpicl_envs.datasets import DATASETS

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture
def registries() -> Iterator[None]:
    """What a block registers goes with it."""
    ids, names = set(gymnasium.registry), set(DATASETS)
    yield
    for env_id in set(gymnasium.registry) - ids:
        del gymnasium.registry[env_id]
    for name in set(DATASETS) - names:
        del DATASETS[name]


@pytest.mark.usefixtures("registries")
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
        assert (root / target).exists(), target
