"""Mutation testing: do the tests of a module notice when one of its operators, numbers or conditions is wrong?

    python benchmarks/mutants.py --sample 12

Each mutant is a copy of a module with one change; the module's own test files run on it, in a process of its own. A
mutant that no test notices either changes no behaviour (`EQUIVALENT` lists those, each with the reason) or shows that a
test is missing.
"""

import argparse
import ast
import copy
import importlib.abc
import importlib.util
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[1]
CLASSICAL = "baselines/gpicl_baselines/classical"
MODULES = (
    *("gpicl_envs/evaluation/metrics.py", "gpicl_envs/evaluation/comparisons.py"),
    *(f"gpicl_envs/sampling/{name}.py" for name in ("examples", "inputs", "labels", "philox")),
    *(f"gpicl_envs/envs/{name}.py" for name in ("actions", "single_env", "stream_env", "vector_env")),
    *(f"{CLASSICAL}/{name}.py" for name in ("causal", "centroid", "constant", "gaussian", "gaussian_process")),
    *(f"{CLASSICAL}/{name}.py" for name in ("logistic", "neighbors", "propagation", "ridge")),
)
# Beside the module's own test file; the slow ones of these tests compare whole evaluations with loose bounds.
SHARED_TESTS = {CLASSICAL: ["tests/gpicl_baselines/classical/test_all.py", "-k", "not learns and not beat"]}
TIME_LIMIT = 120  # seconds; a mutant that takes longer, as in an endless loop, is killed
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq},
    **{ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult},
    **{ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift},
    **{ast.RShift: ast.LShift, ast.BitXor: ast.BitOr},
}
SPEED = "memory and speed, not results"
WRAPS = "torch wraps integers of 64 bits itself"
# Mutants that change no behaviour: the line of code and the change → why.
EQUIVALENT = {
    "BLOCK = 1 << 22  # resampling weights in memory at a time: 1 → 2": SPEED,
    "BLOCK = 1 << 22  # resampling weights in memory at a time: 22 → 23": SPEED,
    "KEPT = 1 << 24  # counts of one seed that are kept for the next interval: 32 MB: 24 → 25": SPEED,
    "KEPT = 1 << 24  # counts of one seed that are kept for the next interval: 32 MB: 1 → 2": SPEED,
    "rows, extreme = max(1, BLOCK // len(sizes)), 0: BLOCK // len(sizes) → BLOCK * len(sizes)": SPEED,
    "kept = _kept_counts(groups.tobytes(), seed) if len(values) * RESAMPLES <= KEPT else None: "
    "_kept_counts(groups.tobytes(), seed) if len(values) * RESAMPLES <= KEPT else None → "
    "None if len(values) * RESAMPLES <= KEPT else _kept_counts(groups.tobytes(), seed)": SPEED,
    "rows, extreme = max(1, BLOCK // len(sizes)), 0: 1 → 2": SPEED,
    "for number, (run, places) in enumerate(zip(self.runs, self._places, strict=True)):: True → False": "of one length",
    "return torch.where(episode.uniform(length, substream=IS_NOISY) < probability, other, y): "
    "episode.uniform(length, substream=IS_NOISY) < probability → "
    "episode.uniform(length, substream=IS_NOISY) <= probability": "with probability 2^-53",
    "return torch.where(draws < bias, fixed, own): draws < bias → draws <= bias": "with probability 2^-53",
    "x = x[:, n].clone() if n < self.tasks.length else torch.zeros_like(x[:, 0]): 0 → 1": "of one shape",
    "WORD = 1 << 64: 1 << 64 → 1 >> 64": WRAPS,
    "return x - WORD if x >= WORD // 2 else x: 2 → 3": WRAPS,
    "return x - WORD if x >= WORD // 2 else x: WORD // 2 → WORD * 2": WRAPS,
    'if self.device.type == "cuda" and find_spec("triton") is not None:: '
    "find_spec('triton') is not None → find_spec('triton') is None": "only a GPU tells: test_philox_triton.py",
    "if self.device.type == \"cpu\":: if self.device.type == 'cpu': → if not self.device.type == 'cpu':": SPEED,
    "counter = (blocks + zeros, number[:, None] + zeros, substream + zeros, zeros): "
    "substream + zeros → substream - zeros": "of zeros",
    'size = max(1, PIECE_BYTES.get(self.device.type, PIECE_BYTES["cpu"]) // (4 * floats)): 1 → 2': SPEED,
    "KEPT = 1 << 24  # counts of one seed that are kept for the next interval: 32 MB: 1 << 24 → 1 >> 24": SPEED,
    "kept = _kept_counts(groups.tobytes(), seed) if len(values) * RESAMPLES <= KEPT else None: "
    "len(values) * RESAMPLES → len(values) / RESAMPLES": SPEED,
    "steps = math.ceil(math.log(2 / PRECISION) / math.log((condition + 1) / max(condition - 1, 1e-9))): "
    "1e-09 → 0.2500000015": SPEED,
    "steps = math.ceil(math.log(2 / PRECISION) / math.log((condition + 1) / max(condition - 1, 1e-9))): "
    "math.log(2 / PRECISION) / math.log((condition + 1) / max(condition - 1, 1e-09)) → "
    "math.log(2 / PRECISION) * math.log((condition + 1) / max(condition - 1, 1e-09))": SPEED,
    "flat = values.reshape(len(values), -1): 1 → 2": "NumPy takes any negative size for -1",
    "blocks = torch.arange(1, -(-n_words // 4) + 1, device=self.device): 1 → 2": "more words than are kept",
    "restart = ((step * progress).sum((1, 2), keepdim=True) > 0).float(): "
    "(step * progress).sum((1, 2), keepdim=True) > 0 → (step * progress).sum((1, 2), keepdim=True) >= 0": "never 0",
    "steps = math.ceil(math.log(2 / PRECISION) / math.log((condition + 1) / max(condition - 1, 1e-9))): 2 → 3": SPEED,
}


def variants(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand in the place of a node."""
    match node:
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() as value):
            yield ast.Constant(value + 1)
        case ast.Constant(value=float() as value):
            yield ast.Constant(1.5 * value + 0.25)
        case ast.UnaryOp(op=ast.USub() | ast.Not() | ast.Invert(), operand=operand):
            yield operand
        case ast.If(test=test):
            yield _changed(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.IfExp(body=body, orelse=orelse):
            yield _changed(node, body=orelse, orelse=body)
        case ast.Compare(ops=[op]) if type(op) in SWAPS:
            yield _changed(node, ops=[SWAPS[type(op)]()])
        case ast.BinOp(op=op) | ast.BoolOp(op=op) | ast.AugAssign(op=op) if type(op) in SWAPS:
            yield _changed(node, op=SWAPS[type(op)]())
        case ast.Expr(value=ast.Call()):
            yield ast.Pass()


def _changed(node: ast.AST, **fields: Any) -> ast.AST:
    made = copy.copy(node)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def places(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int | None]]:
    """Yield every place of a node of running code: parent, field, number in a list; no annotations, no f-strings."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list", "type_params") or isinstance(tree, ast.JoinedStr):
            continue
        for number, child in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(child, ast.AST):
                yield tree, name, number if isinstance(value, list) else None
                yield from places(child)


def mutants(source: str) -> list[tuple[str, str]]:
    """Return every mutant of a source: the line and its change, and the mutated source."""
    found, tree, lines = [], ast.parse(source), source.splitlines()
    for parent, name, number in list(places(tree)):
        value = getattr(parent, name)
        node = value if number is None else value[number]
        for other in variants(node):
            where = " → ".join(ast.unparse(ast.fix_missing_locations(one)).splitlines()[0] for one in (node, other))
            _put(parent, name, number, other)
            line = lines[getattr(node, "lineno", 1) - 1].strip()
            found.append((f"{line}: {where}", ast.unparse(ast.fix_missing_locations(tree))))
            _put(parent, name, number, node)
    return found


def _put(parent: ast.AST, name: str, number: int | None, node: ast.AST) -> None:
    if number is None:
        setattr(parent, name, node)
    else:
        getattr(parent, name)[number] = node


class Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from the source of a mutant."""

    def __init__(self, module: str, path: Path, source: str) -> None:
        self.module, self.path, self.source = module, path, source

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Find the mutated module alone."""
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.module else None

    def create_module(self, spec: Any) -> None:
        """Make an ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutant."""
        exec(compile(self.source, str(self.path), "exec"), module.__dict__)


def own_tests(path: str) -> list[str]:
    """Return the test files of a module, as pytest's arguments."""
    folder, name = path.rsplit("/", 1)
    package = folder.removeprefix("baselines/")
    return [f"tests/{package}/test_{name}", *SHARED_TESTS.get(folder, [])]


def survives(path: str, source: str) -> bool:
    """Whether the module's own tests pass on a mutant, in a copy of this process, which has imported torch already."""
    child = os.fork()
    if child == 0:
        import pytest

        os.setsid()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1), os.dup2(null, 2)
        module = path.removeprefix("baselines/").removesuffix(".py").replace("/", ".")
        sys.meta_path.insert(0, Mutated(module, ROOT / path, source))
        os._exit(int(pytest.main([*own_tests(path), "-x", "-q", "-p", "no:cacheprovider", "--timeout=100"])))
    end = time.monotonic() + TIME_LIMIT
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status == 0
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def run(paths: list[str], sample: int | None, seed: int) -> dict[str, Any]:
    """Return, for each module, how many mutants were run and killed, and the survivors."""
    results = {}
    for path in paths:
        source = (ROOT / path).read_text(encoding="utf-8")
        made = [(change, text) for change, text in mutants(source) if change not in EQUIVALENT]
        assert survives(path, source), f"{own_tests(path)} fail without a mutation"
        chosen = made if sample is None else random.Random(seed).sample(made, min(sample, len(made)))
        survivors = []
        for change, text in chosen:
            if survives(path, text):
                survivors.append(change)
                print(f"{path}: {change}", flush=True)
        results[path] = {"mutants": len(made), "run": len(chosen), "survivors": survivors}
        print(f"{path}: {len(chosen) - len(survivors)} of {len(chosen)} killed", flush=True)
    return results


def main() -> None:
    """Run the mutants and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("modules", nargs="*", default=list(MODULES), help="paths of modules; by default all of MODULES")
    parser.add_argument("--sample", type=int, help="mutants of each module, drawn at random; by default all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    options = parser.parse_args()
    os.chdir(ROOT)
    sys.path[:0] = [str(ROOT), str(ROOT / "agents"), str(ROOT / "baselines"), str(ROOT / "tests")]
    for name in ("torch", "scipy.stats", "sklearn.datasets", "gymnasium", "pytest", "hypothesis"):
        importlib.import_module(name)  # once, for all copies of this process; nothing of this project
    results = run(options.modules, options.sample, options.seed)
    count = sum(result["run"] for result in results.values())
    killed = count - sum(len(result["survivors"]) for result in results.values())
    print(f"{killed} of {count} mutants were killed ({100 * killed / count:.0f} %)")
    from machine import write_result  # imports this project, so only now

    write_result(Path(__file__), {"killed": killed, "run": count, "seed": options.seed, "modules": results})


if __name__ == "__main__":
    main()
