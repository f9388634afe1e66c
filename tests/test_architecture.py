"""The layout of DESIGN.md: folders by concern, imports downwards only, a test file for every module."""

import ast
from pathlib import Path

import pytest

import gpicl_agents
import gpicl_envs

ROOT = Path(__file__).parent.parent
# Folders and modules, lowest first: each may import those before it.
ENVS = (
    *("errors", "datasets", "sampling", "tasks", "rendering", "registration", "envs", "wrappers"),
    *("learners", "evaluation", "rl", "jobs", "suites", "report", "commands", "cli"),
)
AGENTS = (
    *(
        "models",
        "inspection",
        "training",
        "pretrained",
        "sharing",
        "playground",
        "estimators",
        "evaluations",
        "diagnosis",
        "policy_diagnosis",
    ),
    *("experiments", "quickstart", "commands"),
)
BASELINES = ("classical", "gradient", "adapters", "commands")
LAYERS = {"gpicl_envs": ENVS, "gpicl_agents": AGENTS, "gpicl_baselines": BASELINES}
PACKAGES = {
    "gpicl_envs": ROOT / "gpicl_envs",
    "gpicl_agents": ROOT / "agents" / "gpicl_agents",
    "gpicl_baselines": ROOT / "baselines" / "gpicl_baselines",
}
FILES = [path for package in PACKAGES.values() for path in sorted(package.rglob("*.py"))]


def module_of(path: Path) -> tuple[str, ...]:
    """Such as ("gpicl_envs", "tasks", "base")."""
    package = next(name for name, folder in PACKAGES.items() if folder in path.parents)
    parts = path.relative_to(PACKAGES[package]).with_suffix("").parts
    return (package, *(part for part in parts if part != "__init__"))


def imports(path: Path) -> set[tuple[str, ...]]:
    """Modules of the three packages that a file imports, at any depth of the code."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {tuple(name.split(".")) for name in found if name.split(".")[0] in PACKAGES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downwards(path: Path):
    package, *inside = module_of(path)
    for other, *names in imports(path):
        assert other in (package, "gpicl_envs"), f"{package} imports {other}"
        if other != package or not inside or names[0] not in LAYERS[package]:
            continue  # the package itself, or one of its public names
        mine, theirs = LAYERS[package].index(inside[0]), LAYERS[package].index(names[0])
        assert theirs < mine or names[0] == inside[0], f"{inside[0]} imports {names[0]}, which lies above it"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_has_a_layer(package: str):
    rooms = {module_of(path)[1] for path in FILES if module_of(path)[0] == package and len(module_of(path)) > 1}
    assert rooms == set(LAYERS[package])


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.name != "__init__.py"], ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_module_has_its_own_test_file(path: Path):
    """Such as tests/gpicl_envs/tasks/test_base.py, with at least one test."""
    *folders, module = module_of(path)
    own = ROOT.joinpath("tests", *folders, f"test_{module}.py")
    assert own.exists(), f"{path.relative_to(ROOT)} needs {own.relative_to(ROOT)}"
    tree = ast.parse(own.read_text(encoding="utf-8"))
    assert any(isinstance(node, ast.FunctionDef) and node.name.startswith("test_") for node in tree.body)


def test_the_top_of_gpicl_envs_has_at_most_sixteen_rooms():
    rooms = [
        path
        for path in PACKAGES["gpicl_envs"].iterdir()
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").exists()
    ]
    assert len(rooms) <= 16, sorted(path.name for path in rooms)


@pytest.mark.parametrize("path", sorted((ROOT / "gpicl_envs").rglob("*.*")), ids=lambda path: path.name)
def test_the_environments_never_name_agents_or_baselines(path: Path):
    if path.suffix in (".py", ".js", ".css", ".html", ".jinja"):
        text = path.read_text(encoding="utf-8")
        assert "gpicl_agents" not in text and "gpicl_baselines" not in text


def test_folders_do_not_import_each_other_in_a_circle():
    """Nor do modules: every module can be imported first."""
    graph = {module_of(path): imports(path) for path in FILES}
    modules = set(graph)

    def target(name: tuple[str, ...]) -> tuple[str, ...]:
        while name not in modules:
            name = name[:-1]
        return name

    done: set[tuple[str, ...]] = set()

    def visit(module: tuple[str, ...], way: tuple[tuple[str, ...], ...]) -> None:
        assert module not in way, f"a circle: {way}"
        if module in done or len(module) == 1:
            return
        for name in graph[module]:
            visit(target(name), (*way, module))
        done.add(module)

    for module in modules:
        visit(module, ())


def test_no_public_name_hides_behind_a_module():
    """A module gpicl_envs.NAME, once imported, would replace a lazily imported function of that name."""
    for package in (gpicl_envs, gpicl_agents):
        assert set(LAYERS[package.__name__]).isdisjoint(package.__all__)
        for name in package.__all__:
            assert getattr(package, name) is not None


def test_class_names_are_defined_once():
    found: dict[str, Path] = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and node.name != "PreviousActionAndReward":  # as gymnasium's wrappers
                assert node.name not in found, f"{node.name} is defined in {found[node.name]} and in {path}"
                found[node.name] = path
