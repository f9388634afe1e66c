"""Imports run one way: see the layout in CONTRIBUTING.md."""

import ast
from pathlib import Path

import pytest

import gpicl_envs

ROOT = Path(__file__).parent.parent
# Each module of gpicl_envs may import those of lower layers only.
LAYERS = [
    {"errors", "frame", "window", "specs", "jobs"},
    {"datasets", "drawing"},
    {"sampling"},
    {"episodes", "answers"},
    {"distribution", "rendering"},
    {"tasks", "functions", "registration"},
    {"vector_env", "learner", "metrics", "records", "provenance"},
    {"single_env", "testing", "wrappers", "curve", "comparisons"},
    {"guard", "oracle"},
    {"evaluation", "sb3", "suites", "fitting"},
    {"benchmark", "report", "isolation"},
    {"cluster"},
    {"commands"},
    {"cli"},
]
FILES = sorted(path for folder in ("gpicl_envs", "agents", "baselines") for path in (ROOT / folder).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Modules that a file imports, at any depth of the code."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def module_of(path: Path) -> str:
    relative = path.relative_to(ROOT / "gpicl_envs")
    return relative.parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downwards(path: Path):
    package = "gpicl_envs" if "gpicl_envs" in path.parts else path.parent.name
    used = imports(path)
    if package == "gpicl_baselines":
        assert not any(name.startswith("gpicl_agents") for name in used)
    if package == "gpicl_agents":
        assert not any(name.startswith("gpicl_baselines") for name in used)
    if package != "gpicl_envs" or path.name == "__init__.py" and path.parent.name == "gpicl_envs":
        return
    module = module_of(path)
    if module not in ("cli", "commands"):
        assert not any(name.startswith(("gpicl_agents", "gpicl_baselines")) for name in used), used
    mine = next(i for i, layer in enumerate(LAYERS) if module in layer)
    for name in used:
        if name.startswith("gpicl_envs."):
            other = name.split(".")[1]
            theirs = next(i for i, layer in enumerate(LAYERS) if other in layer)
            assert theirs < mine or other == module, f"{module} imports {other}, which lies beside or above it"


def test_every_module_has_a_layer():
    modules = {module_of(path) for path in (ROOT / "gpicl_envs").rglob("*.py")} - {"__init__"}
    assert modules == set().union(*LAYERS)


def test_every_module_has_a_test_file():
    names = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    tasks = dict.fromkeys(["errors", "projections", "episodes", "choice", "distribution", "parts"], "tasks")
    tasks |= dict.fromkeys(["pool", "examples", "labelling", "inputs"], "variants")
    tasks |= dict.fromkeys(["single_env", "vector_env", "answers"], "envs")
    tasks |= dict.fromkeys(["single", "vector"], "wrappers")
    tasks |= dict.fromkeys(["frame", "drawing"], "rendering")
    tasks |= dict.fromkeys(["curve", "guard", "provenance"], "evaluation")
    together = tasks | {
        "records": "report",
        "progress": "train",
        "presets": "train",
        "emergence": "quickstart",
    }
    together |= dict.fromkeys(["config", "run_folder"], "train")
    together |= {"sequence": "transformer"}
    together |= dict.fromkeys(["lstm", "gru", "outer_product_lstm", "tied_lstm", "memoryless", "vsml"], "recurrent")
    own = ["estimator", "acting", "sb3_policy"]
    together |= {name: name for name in own} | {
        "data": "data_command",
        "train_sb3": "sb3_policy",
        "specs": "cli",
        "fitting": "estimator",
    }
    together |= dict.fromkeys(["gradient", "maml"], "gradient")
    together |= dict.fromkeys(["columns", "figures", "page", "tables", "paper"], "report")
    engine = ["experiment", "sweep", "trial", "drawing", "standard"]
    together |= dict.fromkeys([*engine, "phases", "heatmap", "state_size", "plateau", "bias", "table1"], "experiments")
    together |= dict.fromkeys(["isolation", "cluster", "jobs"], "benchmark")
    together |= dict.fromkeys(["arguments", "envs", "check", "evaluate"], "cli")
    for path in FILES:
        if path.name == "__init__.py" or path.parent.name == "datasets":
            continue
        expected = (
            together.get(path.stem, "baselines")
            if path.parent.name == "gpicl_baselines"
            else together.get(path.stem, path.stem)
        )
        assert f"test_{expected}" in names, path


def test_no_public_name_hides_behind_a_module():
    """A module gpicl_envs.NAME, once imported, would replace a lazily imported function of that name."""
    modules = {module_of(path) for path in (ROOT / "gpicl_envs").rglob("*.py")}
    assert modules.isdisjoint(gpicl_envs.__all__)
    for name in gpicl_envs.__all__:
        assert getattr(gpicl_envs, name) is not None
