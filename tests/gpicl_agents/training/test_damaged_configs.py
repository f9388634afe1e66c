import random
import shutil
from pathlib import Path

import pytest
from mutations import damaged_bytes, damaged_value

from gpicl_agents import pretrained
from gpicl_agents.diagnosis import meta_training_kwargs
from gpicl_agents.training.checkpoint import load_learner, save_checkpoint
from gpicl_agents.training.run_folder import RunFolder
from gpicl_agents.training.supervised import TrainConfig
from gpicl_envs.errors import MissingDataError
from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks import make_tasks
from gpicl_envs.tasks.classification import TaskDistribution

COUNT = 1000
SMALL = {"length": 6, "n_features": 12, "n_classes": 3}
LEARNERS = {
    "lstm": {"width": 8, "input_rank": 4},
    "transformer": {"width": 8, "n_layers": 1, "n_heads": 2, "mlp_width": 8, "input_rank": 4},
    "gated-deltanet": {"n_layers": 1, "mlp_width": 8, "input_rank": 4},
}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Checkpoints as training writes them, and one that comes with the package."""
    found, tasks = [], TaskDistribution("Digits", **SMALL)
    for name, arguments in LEARNERS.items():
        learner = make_learner(name, tasks=tasks, **arguments)
        problem = RunFolder(None, TrainConfig(), learner, tasks, {"batch_size": 4}).problem
        folder = tmp_path_factory.mktemp(name)
        found.append(save_checkpoint(folder, learner, {"step": 1}, {"problem": problem, "config": {"steps": 1}}))
    return [*found, pretrained.FOLDER / "gpicl-small-kernel"]


def damaged(content: bytes, seed: int) -> bytes:
    chance = random.Random(seed)
    return damaged_value(content.decode(), chance).encode() if seed % 3 else damaged_bytes(content, chance)


@pytest.mark.parametrize("count", [100, pytest.param(COUNT, marks=pytest.mark.slow)])
def test_every_damaged_config_is_read_or_refused_by_file(count: int, checkpoints: list[Path], tmp_path: Path):
    read = 0
    for seed in range(count):
        source = checkpoints[seed % len(checkpoints)]
        folder = tmp_path / str(seed)
        shutil.copytree(source, folder)
        path = folder / "config.json"
        path.write_bytes(damaged(path.read_bytes(), seed))
        try:
            assert isinstance(load_learner(folder), Learner)
            read += 1
        except ValueError as error:
            assert str(folder) in str(error) and len(str(error)) < 5000, str(error)
        try:
            make_tasks(**meta_training_kwargs(str(folder)))
        except ValueError as error:
            assert str(folder) in str(error) or isinstance(error, MissingDataError), str(error)
        shutil.rmtree(folder)
    assert 0.05 * count < read < 0.8 * count
