import importlib
import sys
from pathlib import Path

import pytest

from gpicl_envs.learners.registry import LearnerSpec
from gpicl_envs.learners.sources import source_code

FILES = {
    "pack/__init__.py": "",
    "pack/agent.py": "import torch\nfrom gpicl_envs import Learner\nfrom . import near\nfrom .deep.below import VALUE\n"
    "class Agent(Learner):\n    def predict(self, x, y):\n        import pack.late\n        return near.answer(x, y)\n",
    "pack/near.py": "import torch\nimport helper_of_pack\ndef answer(x, y): return torch.zeros(*y.shape, 10)\n",
    "pack/late.py": "",
    "pack/deep/__init__.py": "",
    "pack/deep/below.py": "from ..sibling import *\nVALUE = 1\n",
    "pack/sibling.py": "",
    "pack/unrelated.py": "",
    "helper_of_pack.py": "import pack.agent\nimport loose_folder.part\n",
    "loose_folder/part.py": "",
}


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield importlib.import_module("pack.agent").Agent
    for name in [name for name in sys.modules if name.partition(".")[0] in ("pack", "helper_of_pack", "loose_folder")]:
        del sys.modules[name]


@pytest.mark.parametrize("name", FILES)
def test_a_change_of_any_module_that_it_imports_is_seen(agent, tmp_path: Path, name: str):
    before = source_code(agent)
    (tmp_path / name).write_text(FILES[name] + "# changed\n")
    assert (source_code(agent) != before) == (name != "pack/unrelated.py")


def test_installed_packages_and_the_evaluating_one_are_left_out(agent):
    assert len(source_code(agent)) < 1000


def test_a_class_without_a_file_is_its_name():
    assert source_code(type("Made", (), {"__module__": "nowhere"})) == b"Made"


def test_a_learner_can_name_what_else_it_depends_on(agent):
    class Reads(agent):
        data = "one"

        def fingerprint(self) -> str:
            return self.data

    learner, spec = Reads(), LearnerSpec.parse("pack.agent:Agent")
    first = spec.fingerprint(learner)
    learner.data = "two"
    assert spec.fingerprint(learner) != first == spec.fingerprint(Reads())
