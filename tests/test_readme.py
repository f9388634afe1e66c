"""What the README says must run."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_python_blocks_run(number: int):
    exec(compile(BLOCKS[number], f"README block {number}", "exec"), {"__name__": "readme"})


def test_the_plug_in_is_a_proper_learner():
    from gpicl_envs import check_learner

    names: dict = {"__name__": "readme"}
    exec(compile(BLOCKS[1], "README plug-in", "exec"), names)
    check_learner(names["SoftNeighbors"]())


def test_every_link_and_picture_exists():
    root = Path(__file__).parent.parent
    for target in re.findall(r"\]\(((?!http)[^)]+)\)", README):
        assert (root / target).exists(), target
