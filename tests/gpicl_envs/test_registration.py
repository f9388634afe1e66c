import pickle
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from small_data import small_classes

import gpicl_envs
from gpicl_envs import DatasetSpec
from gpicl_envs.registration import FUNCTION_CLASSES, environments, find_environment, find_rl_environment
from gpicl_envs.tasks.regression import FUNCTIONS

IDS = list(environments())


@pytest.fixture
def three_blobs(clean_registry) -> DatasetSpec:
    """A registered dataset of three classes, given by nothing but its arrays."""
    generator = np.random.default_rng(0)
    y = np.arange(150) % 3
    x = (4 * np.eye(3, 6)[y] + generator.normal(size=(150, 6))).astype(np.float32)
    gpicl_envs.register_dataset("ThreeBlobs", x, y, x[:120] + 0.1, y[:120])
    return gpicl_envs.DATASETS["ThreeBlobs"]


@pytest.mark.parametrize("env_id", IDS)
def test_specs_survive_pickle_and_json(env_id: str):
    spec = gymnasium.make(env_id, length=5).spec
    assert spec is not None
    assert pickle.loads(pickle.dumps(spec)) == spec
    again = EnvSpec.from_json(spec.to_json())
    assert gymnasium.make(again).unwrapped.tasks.length == 5


def test_a_dataset_registered_by_a_user_gets_an_id(clean_registry):
    spec = gpicl_envs.DatasetSpec("Tenfold", gpicl_envs.DATASETS["Digits"].load, "Digits under another name")
    gpicl_envs.register_dataset(spec)
    assert gymnasium.make("GPICL-Tenfold-v0").reset(seed=0)[0]["x"].shape == (784,)


def test_gymnasium_warns_of_a_version_that_is_out_of_date(clean_registry):
    """As docs/environments.md says of v0 beside v1."""
    spec = gymnasium.spec("GPICL-Digits-v0")
    gymnasium.register("GPICL-Digits-v1", spec.entry_point, kwargs=spec.kwargs)
    try:
        with pytest.warns(DeprecationWarning, match="GPICL-Digits-v0 is out of date.*`v1`"):
            env = gymnasium.make("GPICL-Digits-v0")
        assert env.spec.id == "GPICL-Digits-v0"
    finally:
        del gymnasium.registry["GPICL-Digits-v1"]


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


def test_a_dataset_cannot_take_the_name_of_another_environment():
    with pytest.raises(ValueError, match="has the name of another environment"):
        gpicl_envs.register_dataset("linear-regression", np.eye(4, dtype=np.float32), np.arange(4) % 2)


def test_a_registered_dataset_travels_with_a_pickle():
    x, y = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32), np.arange(40) % 4
    gpicl_envs.register_dataset("traveller", x, y)
    try:
        content = pickle.dumps(gpicl_envs.TaskDistribution("traveller", n_classes=4, length=9, n_features=5))
    finally:
        del gpicl_envs.DATASETS["traveller"], gymnasium.registry["GPICL-traveller-v0"]
    assert pickle.loads(content).sample(2).x.shape == (2, 9, 5)


def test_a_dataset_of_three_classes_has_environments_of_three_classes(three_blobs: DatasetSpec):
    """Everything follows the dataset: the id, single and batched, its spaces, its arguments and its records."""
    env = gymnasium.make(three_blobs.env_id)
    check_env(env.unwrapped, skip_render_check=True)
    batch = gymnasium.make_vec(three_blobs.env_id, num_envs=2, action="logits")
    assert env.action_space.n == 3 and batch.single_action_space.shape == (3,)
    assert env.observation_space["y"].shape == batch.single_observation_space["y"].shape == (3,)
    tasks = gpicl_envs.TaskDistribution("ThreeBlobs")
    assert tasks.arguments["n_classes"] == env.unwrapped.tasks.arguments["n_classes"] == 3
    assert tasks.unseen().n_classes == 3 and "n_classes=3" in repr(tasks)
    assert tasks.sample(4).y.unique().tolist() == [0, 1, 2]
    curve = gpicl_envs.evaluate(gpicl_envs.make_learner("centroid", n_classes=3), tasks, episodes=20)
    assert curve.tasks["n_classes"] == 3 and curve.scores[:, -10:].mean() > 0.8


def test_a_spec_takes_no_arrays():
    with pytest.raises(ValueError, match="the spec of Digits and arrays"):
        gpicl_envs.register_dataset(gpicl_envs.DATASETS["Digits"], *small_classes())


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
@pytest.mark.parametrize("env_id", ["GPICL-Digits-v0", "GPICL-Array-v0"])
def test_no_dataset_is_not_mnist(make, env_id: str):
    with pytest.raises(ValueError, match="dataset=None is not allowed: give a name such as 'MNIST'"):
        make(env_id, dataset=None)
    with pytest.raises(ValueError, match="dataset=None and function='LinearRegression' name 2 kinds"):
        make("GPICL-LinearRegression-v0", dataset=None)


def test_a_missing_split_is_explained(clean_registry: None):
    x, y = np.arange(60.0).reshape(30, 2), np.arange(30) % 3
    gpicl_envs.register_dataset("half", x, y)
    with pytest.raises(
        ValueError,
        match="Unknown split of half 'test'. Valid: train. For .* y_test .*seen-task",
    ):
        gymnasium.make("GPICL-half-v0", split="test")


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("feedbak", "feedback"),
        ("acton", "action"),
        ("rendermode", "render_mode"),
        ("lenght", "length"),
        ("datasets", "dataset"),
    ],
)
def test_an_unknown_keyword_lists_all_valid_ones(make, given: str, meant: str):
    with pytest.raises(
        ValueError, match=f"'{given}'. Did you mean '{meant}'.*Valid: action.*feedback.*render_mode.*task_seed"
    ):
        make("GPICL-MNIST-v0", **{given: 3})


@pytest.mark.parametrize("name", ["num_envs", "autoreset_mode"])
def test_keywords_of_the_vector_environment_are_none_of_the_single_one(name: str):
    with pytest.raises(ValueError, match=f"unexpected keyword argument '{name}': it is one of gymnasium.make_vec"):
        gymnasium.make("GPICL-MNIST-v0", **{name: 2})


def test_seeds_of_numpy_are_those_of_python():
    single, batch = gymnasium.make("GPICL-Digits-v0"), gymnasium.make_vec("GPICL-Digits-v0", num_envs=np.int64(2))
    first = single.reset(seed=3)[0]["x"]
    assert np.array_equal(single.reset(seed=np.int64(3))[0]["x"], first)
    assert np.array_equal(batch.reset(seed=np.int64(3))[0]["x"][0].numpy(), first)


def test_ids_of_both_kinds_are_found_and_each_refuses_the_other_with_a_way_out():
    assert find_rl_environment("GPICL-Bandit-v0").arguments == {"problem": "Bandit"}
    assert find_environment("GPICL-MNIST-v0").arguments == {"dataset": "MNIST"}
    with pytest.raises(ValueError, match="GPICL-MNIST-v0 reveals labels.*`gpicl evaluate`.*GPICL-Bandit-v0"):
        find_rl_environment("GPICL-MNIST-v0")
    with pytest.raises(ValueError, match="GPICL-Bandit-v0 has no labels.*`gpicl evaluate-rl`"):
        find_environment("GPICL-Bandit-v0")
    with pytest.raises(ValueError, match="Did you mean 'GPICL-Bandit-v0'"):
        find_rl_environment("GPICL-Bandits-v0")
