import pickle
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

import gpicl_envs
from gpicl_envs.registration import FUNCTION_CLASSES, environments
from gpicl_envs.tasks.regression import FUNCTIONS

IDS = list(environments())


@pytest.mark.parametrize("env_id", IDS)
def test_specs_survive_pickle_and_json(env_id: str):
    spec = gymnasium.make(env_id, length=5).spec
    assert spec is not None
    assert pickle.loads(pickle.dumps(spec)) == spec
    again = EnvSpec.from_json(spec.to_json())
    assert gymnasium.make(again).unwrapped.tasks.length == 5


def test_a_dataset_registered_by_a_user_gets_an_id():
    spec = gpicl_envs.DatasetSpec("Tenfold", gpicl_envs.DATASETS["Digits"].load, "Digits under another name")
    gpicl_envs.register_dataset(spec)
    try:
        assert gymnasium.make("GPICL-Tenfold-v0").reset(seed=0)[0]["x"].shape == (784,)
    finally:
        del gpicl_envs.DATASETS["Tenfold"], gymnasium.registry["GPICL-Tenfold-v0"]


def test_make_imports_the_package_by_its_prefix_and_works_offline():
    program = "import gymnasium; print(gymnasium.make('gpicl_envs:GPICL-MNIST-v0').reset(seed=0)[0]['x'].shape)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "(784,)"


def test_importing_the_package_and_the_report_takes_no_torch():
    program = "import sys, gpicl_envs, gpicl_envs.report, gpicl_envs.evaluation.records; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_every_class_of_functions_has_an_id():
    assert list(FUNCTION_CLASSES) == list(FUNCTIONS)


def test_a_dataset_cannot_take_the_name_of_a_regression_environment():
    with pytest.raises(ValueError, match="has the name of a regression environment"):
        gpicl_envs.register_dataset("linear-regression", np.eye(4, dtype=np.float32), np.arange(4) % 2)


def test_a_registered_dataset_travels_with_a_pickle():
    x, y = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32), np.arange(40) % 4
    gpicl_envs.register_dataset("traveller", x, y)
    try:
        content = pickle.dumps(gpicl_envs.TaskDistribution("traveller", n_classes=4, length=9, n_features=5))
    finally:
        del gpicl_envs.DATASETS["traveller"], gymnasium.registry["GPICL-traveller-v0"]
    assert pickle.loads(content).sample(2).x.shape == (2, 9, 5)
