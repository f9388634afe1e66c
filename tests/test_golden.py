"""What exists never changes: episodes, the episodes of every suite, initial weights, a short training, predictions.

`golden.json` holds, for every case, the sha256 of whole numbers (labels, example numbers, permutations, …) and some of
the real ones, which machines may round otherwise. A case that is new is added by `python tests/test_golden.py`, which
never replaces one that is there.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from small_data import REAL_DATA, small_arrays

import gpicl_envs
import gpicl_envs.datasets.tables
from gpicl_agents import load_pretrained, pretrained_names
from gpicl_agents.training.presets import PRESETS
from gpicl_agents.training.supervised import TrainConfig, train
from gpicl_envs import FunctionDistribution, TableDistribution, TaskDistribution, TaskMixture, make_learner
from gpicl_envs.learners.registry import learner_targets
from gpicl_envs.rl.kinds import make_problems
from gpicl_envs.suites.definitions import SUITES
from gpicl_envs.tasks import make_tasks

FILE = Path(__file__).with_name("golden.json")
SHOWN = 12  # real numbers kept of an array
TOLERANCE = 2e-3

KEPT_OF_TASKS = (
    *("ids", "classes", "permutation"),
    *("kind", "n_columns", "n_factors", "n_active", "slots"),  # of tables
    "component",  # of mixtures
    *("rows", "places"),  # of real tables
)

Case = dict[str, Any]

CLASSIFICATION: dict[str, dict[str, Any]] = {
    "default": {},
    "test images": {"split": "test"},
    "numbered": {"n_tasks": 1 << 20, "task_seed": 3},
    "few tasks": {"dataset": "Digits", "n_tasks": 4, "length": 30},
    "orthogonal": {"dataset": "Digits", "projection": "orthogonal", "n_features": 50, "length": 20},
    "orthogonal numbered": {"dataset": "Digits", "projection": "orthogonal", "n_features": 90, "n_tasks": 9},
    "no projection": {"dataset": "Digits", "projection": "none", "n_features": 64},
    "matrix route": {"dataset": "Digits", "route": "matrix", "n_features": 30},
    "labels as they are": {"dataset": "Digits", "permute_labels": False},
    "biased": {"dataset": "Digits", "permutation_bias": 0.5},
    "noisy": {"dataset": "Digits", "label_noise": 0.3},
    "imbalanced": {"class_imbalance": 10.0},
    "imbalanced, small": {"dataset": "Digits", "class_imbalance": 5.0, "length": 60, "n_tasks": 7},
    "drift of all": {"dataset": "Digits", "drift_every": 13, "length": 40},
    "drift of projections": {"dataset": "Digits", "drift_every": 13, "drift": "projection", "n_tasks": 5},
    "drift of labels": {"dataset": "Digits", "drift_every": 13, "drift": "labels", "permutation_bias": 0.4},
    "return of all": {"dataset": "Digits", "drift_every": 13, "drift": "return", "length": 44},
    "many clusters": {"dataset": "Clusters", "n_clusters": 90, "within_class_noise": 0.7, "active_classes": 90},
    "shifted": {"dataset": "Digits", "x_spectrum": "skewed", "x_scale": 2.0, "length": 20, "n_features": 30},
    "distractors": {"dataset": "Digits", "distractors": 20, "n_features": 60},
    "distractors, drift": {"dataset": "Digits", "distractors": 9, "n_features": 40, "drift_every": 30, "n_tasks": 3},
    "shots": {"n_classes": 5, "shots": 3},
    "shots, small": {"dataset": "Digits", "shots": 9, "length": 95},
    "fixed examples": {"dataset": "Digits", "n_tasks": 3, "examples_per_task": 100},
    "some classes": {"dataset": "Digits", "n_classes": 4, "length": 50},
    "active classes": {"dataset": "Digits", "active_classes": (2, 6), "label_noise": 0.2, "length": 60},
    "classes that share labels": {"dataset": "Digits", "n_classes": 3, "active_classes": 7, "n_tasks": 5},
    "bursty": {"dataset": "Digits", "burstiness": 3, "p_bursty": 0.5, "zipf": 1.0, "length": 22},
    "bursts of most examples of a class": {"dataset": "Digits", "burstiness": 60, "length": 121},
    "query in context": {"dataset": "Digits", "query": "in-context", "active_classes": (2, 9), "length": 7},
    "query not in context": {
        "dataset": "Digits",
        "query": "not-in-context",
        "length": 7,
        "n_tasks": 3,
        "classes": (1, 9),
    },
    "resized": {"image_size": 14, "n_features": 196},
    "with replacement": {"dataset": "Random"},
    "clusters": {"dataset": "Clusters", "length": 200},
    "everything": {
        "dataset": "Digits",
        "n_classes": 6,
        "n_tasks": 11,
        "label_noise": 0.1,
        "class_imbalance": 2.0,
        "drift_every": 9,
        "distractors": 5,
        "permutation_bias": 0.3,
        "length": 40,
        "n_features": 30,
        "task_seed": 8,
    },
}
REGRESSION: dict[str, dict[str, Any]] = {
    "linear": {},
    "sparse": {"function": "SparseLinearRegression", "n_tasks": 5, "split": "test"},
    "network": {"function": "TwoLayerNetwork", "noise": 0.5, "length": 30},
    "tree": {"function": "DecisionTree", "drift_every": 12, "n_features": 7},
    "returning": {"drift_every": 9, "drift": "return", "length": 30, "n_tasks": 2},
    "skewed": {"x_spectrum": "skewed", "x_scale": 2.0, "n_tasks": 3, "length": 20},
    "opposite orthants": {"orthants": "opposite", "length": 20, "n_features": 8},
    "noisy, numbered, drifting": {"noise": 0.1, "n_tasks": 3, "drift_every": 40, "task_seed": 2},
}
TABLES: dict[str, dict[str, Any]] = {
    "default": {},
    "test, numbered": {"split": "test", "n_tasks": 9, "task_seed": 4, "length": 30},
    "few features and classes": {"n_features": 12, "n_classes": 4, "active_classes": (2, 3), "length": 40},
    "values": {"n_classes": 1, "n_features": 30, "length": 50},
}
MIXTURES: dict[str, dict[str, Any]] = {
    "default": {},
    "test": {"split": "test", "length": 20},
    "own": {
        "mixture": [
            {"weight": 1, "dataset": "Digits", "active_classes": (2, 5)},
            {"weight": 3, "prior": "SyntheticTables"},
            {"dataset": "Clusters", "n_tasks": 4},
        ],
        "n_features": 30,
    },
}
ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "GPICL-Digits-v0": {"length": 4},
    "GPICL-MNIST-v0": {"length": 3, "action": "logits"},
    "GPICL-Clusters-v0": {"length": 3, "feedback": "reward", "n_tasks": 6},
    "GPICL-DecisionTree-v0": {"length": 5},
    "GPICL-SyntheticTables-v0": {"length": 4},
    "GPICL-GeneralMixture-v0": {"length": 4},
    "GPICL-RealTable-v0": {"length": 4},
}
PROBLEMS: dict[str, dict[str, Any]] = {
    "Bandit": {},
    "Bandit, test, numbered": {"split": "test", "n_tasks": 9, "task_seed": 4, "n_arms": 3, "length": 20},
    "TabularMDP": {},
    "TabularMDP, test, numbered": {"split": "test", "n_tasks": 9, "n_states": 4, "n_actions": 2, "horizon": 5},
    "DarkRoom": {},
    "DarkRoom, test, numbered": {"split": "test", "n_tasks": 9, "task_seed": 4, "size": 5},
}
SHORT = {
    "GPICL-Bandit-v0": {"length": 8},
    "GPICL-TabularMDP-v0": {"n_episodes": 2, "horizon": 4},
    "GPICL-DarkRoom-v0": {"n_episodes": 2, "horizon": 6, "size": 3},
}
KEEL = [("gpicl-tables-v1", name) for name, spec in gpicl_envs.datasets.tables.TABLES.items() if not spec.loader]
REAL = ("fashion_mnist", "kmnist_test", "cifar10_jpeg75_7k", "cifar10_lossless_4k", "omniglot_small_28")


def facts(**values: Any) -> Case:
    """Whole numbers as one sha256, real numbers as a few of them."""
    digest, shown = sha256(), {}
    for name, value in values.items():
        array = np.ascontiguousarray(torch.as_tensor(value).detach().cpu().numpy())
        if array.dtype.kind == "f" and array.size:
            place = np.linspace(0, array.size - 1, min(SHOWN, array.size)).astype(int)
            shown[name] = [round(float(number), 5) for number in array.ravel()[place]]
            digest.update(f"{name} {array.shape}".encode())
        else:
            digest.update(f"{name} {array.dtype.kind} {array.shape}".encode() + array.astype(np.int64).tobytes())
    return {"sha256": digest.hexdigest(), **shown}


def of_episodes(episodes: Any) -> Case:
    tasks = {name: value for name, value in vars(episodes.tasks).items() if name in KEPT_OF_TASKS}
    return facts(x=episodes.x, y=episodes.y, index=episodes.index, **tasks)


def of_classification(name: str) -> Case:
    return of_episodes(TaskDistribution(**CLASSIFICATION[name]).sample(3, seed=5, first=2))


def of_regression(name: str) -> Case:
    return of_episodes(FunctionDistribution(**REGRESSION[name]).sample(3, seed=5, first=2))


def of_tables(name: str) -> Case:
    return of_episodes(TableDistribution(**TABLES[name]).sample(6, seed=5, first=2))


def of_mixture(name: str) -> Case:
    return of_episodes(TaskMixture(**MIXTURES[name]).sample(8, seed=5, first=2))


def of_environment(env_id: str) -> Case:
    """Two episodes of three environments, as reset and step show them."""
    venv = gymnasium.make_vec(env_id, num_envs=3, **ENVIRONMENTS[env_id])
    observation, info = venv.reset(seed=11)
    found = {"x0": observation["x"], "y0": observation["y"], "task_id": info["task_id"]}
    venv.action_space.seed(3)
    for n in range(1, 2 * ENVIRONMENTS[env_id]["length"] + 1):
        observation, reward, terminated, _, _ = venv.step(venv.action_space.sample())
        found |= {f"x{n}": observation["x"], f"y{n}": observation["y"], f"r{n}": reward, f"end{n}": terminated}
    return facts(**found)


def of_problems(name: str) -> Case:
    """Hidden facts and noise."""
    problems = make_problems(name.partition(",")[0], **PROBLEMS[name]).sample(3, seed=5, first=2)
    return facts(ids=problems.ids, **problems.hidden, **problems.noise)


def of_play(env_id: str) -> Case:
    """Random actions in a short problem and the first steps of the next, as reset and step show them."""
    venv = gymnasium.make_vec(env_id, num_envs=3, **SHORT[env_id])
    x, actions, rewards = [venv.reset(seed=11)[0]["x"]], [], []
    venv.action_space.seed(3)
    for _ in range(venv.unwrapped.length + 5):  # type: ignore[attr-defined]
        actions.append(venv.action_space.sample())
        observation, reward, *_ = venv.step(actions[-1])
        x.append(observation["x"])
        rewards.append(reward)
    states = torch.stack(x).long()  # zeros and ones
    return facts(states=states, actions=np.stack(actions), rewards=torch.stack(rewards))


def of_cell(suite: str, cell: str) -> Case:
    chosen = SUITES[suite].cell(cell)
    return of_episodes(make_tasks(**chosen.arguments).sample(2, chosen.seed))


def of_real(name: str) -> Case:
    n_classes = min(10, gpicl_envs.load_dataset(name).n_classes)
    split = "train" if "train" in gpicl_envs.load_dataset(name).x else "test"
    return of_episodes(TaskDistribution(name, split=split, n_classes=n_classes, length=40).sample(2, seed=1))


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    episodes = TaskDistribution("Digits", length=12, n_features=100).sample(2, seed=9)
    return episodes.x, episodes.y


def of_learner(name: str) -> Case:
    """Its initial weights (the sum of each, and of each one's squares), and its predictions."""
    if name in ("least-squares", "dmmse"):
        episodes = FunctionDistribution(length=12).sample(2, seed=9)
        return facts(predicted=make_learner(name).predict(episodes.x, episodes.y))
    learner, (x, y) = make_learner(name, n_features=100), digits()
    weights = learner.state_dict() if isinstance(learner, torch.nn.Module) else {}
    sums = [[value.double().sum(), value.double().square().sum()] for value in weights.values()]
    shapes = [[int(size) for size in (*value.shape, 0, 0, 0)][:3] for value in weights.values()]
    with torch.no_grad():
        predicted = learner.predict(x, y)
    return facts(predicted=predicted, sums=sums, shapes=shapes)


def of_training() -> Case:
    """Five steps of the preset `tiny`: losses, then the weights."""
    preset, losses = PRESETS["tiny"], []
    learner: Any = make_learner("transformer", n_features=100, **preset.learner_kwargs, seed=4)
    venv = gymnasium.make_vec("GPICL-Digits-v0", num_envs=8, n_features=100, length=20)
    config = TrainConfig(steps=5, warmup_steps=2, learning_rate=3e-3, evaluate_every=0, seed=6)
    train(learner, venv, config, report=lambda progress: losses.append(progress.loss))
    return facts(losses=losses, **{name.replace(".", "_"): value for name, value in learner.state_dict().items()})


def of_pretrained(name: str) -> Case:
    learner: Any = load_pretrained(name)
    if learner.n_classes == 1:
        tasks: Any = FunctionDistribution(split="test", length=41, n_features=learner.n_features)
    else:
        tasks = TaskDistribution("MNIST", split="test")
    episodes = tasks.sample(2, seed=7)
    with torch.no_grad():
        return facts(predicted=learner.predict(episodes.x, episodes.y))


CASES: dict[str, Callable[[], Case]] = {}
CASES |= {f"classification: {name}": partial(of_classification, name) for name in CLASSIFICATION}
CASES |= {f"regression: {name}": partial(of_regression, name) for name in REGRESSION}
CASES |= {f"tables: {name}": partial(of_tables, name) for name in TABLES}
CASES |= {f"mixture: {name}": partial(of_mixture, name) for name in MIXTURES}
CASES |= {f"environment: {name}": partial(of_environment, name) for name in ENVIRONMENTS}
CASES |= {f"problems: {name}": partial(of_problems, name) for name in PROBLEMS}
CASES |= {f"play: {env_id}": partial(of_play, env_id) for env_id in SHORT}
CELLS = [(suite.name, cell.name) for suite in SUITES.values() for cell in suite.cells]
OF_RL = "gpicl-rl-v1"  # its cells are problems
CASES |= {f"suite: {', '.join(c)}": partial(of_cell, *c) for c in CELLS if c not in KEEL and c[0] != OF_RL}
CASES |= {f"learner: {name}": partial(of_learner, name) for name in learner_targets()}
CASES |= {f"pretrained: {name}": partial(of_pretrained, name) for name in pretrained_names()}
CASES |= {"training": of_training}
FILES = {f"real data: {name}": f"{name}.npz" for name in REAL}
FILES |= {f"suite: {', '.join(cell)}": f"tabular/{cell[1]}.npz" for cell in KEEL}
REAL_CASES: dict[str, Callable[[], Case]] = {f"real data: {name}": partial(of_real, name) for name in REAL}
REAL_CASES |= {f"suite: {', '.join(cell)}": partial(of_cell, *cell) for cell in KEEL}


def check(name: str, found: Case) -> None:
    expected = json.loads(FILE.read_text(encoding="utf-8"))[name]
    assert found.keys() == expected.keys()
    assert found["sha256"] == expected["sha256"]
    for key in expected.keys() - {"sha256"}:
        # Relative to the largest, so that a sum over many weights may round as a weight may.
        scale = max(1.0, np.abs(expected[key]).max())
        np.testing.assert_allclose(found[key], expected[key], rtol=0, atol=TOLERANCE * scale, err_msg=key)


@pytest.mark.parametrize("name", CASES)
def test_what_exists_stays_as_it_is(name: str):
    check(name, CASES[name]())


@pytest.mark.parametrize("name", REAL_CASES)
def test_episodes_of_real_data_stay_as_they_are(name: str, real_data: Path):
    if not (real_data / FILES[name]).is_file():
        pytest.skip(f"{FILES[name]} is not in {real_data}")
    check(name, REAL_CASES[name]())


def test_no_case_was_dropped():
    assert json.loads(FILE.read_text(encoding="utf-8")).keys() == CASES.keys() | REAL_CASES.keys()


def main() -> None:
    """Add what is new to the file. The folders of data are those that the tests have."""
    kept = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GPICL_CACHE_DIR"] = f"{folder}/cache"
        for spec in gpicl_envs.DATASETS.values():
            if spec.files is not None:
                np.savez(f"{folder}/{spec.name}.npz", **small_arrays(spec))
        for cases, data in ((CASES, folder), (REAL_CASES, str(REAL_DATA))):
            os.environ["GPICL_DATA_DIR"] = data
            for name in cases.keys() - kept.keys():
                kept[name] = cases[name]()
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(kept[name], ensure_ascii=False)}" for name in sorted(kept))
    FILE.write_text("{\n" + lines + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
