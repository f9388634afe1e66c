import json
import random
from pathlib import Path

import pytest
import torch

pytest.importorskip("sb3_contrib", reason="needs the extra `rl`")

from mutations import damaged_bytes, damaged_value
from safetensors.torch import load_file, save_file

from gpicl_baselines.adapters.sb3_policy import PolicyLearner, load_policy, train_policy
from gpicl_envs.datasets.cache import sha256_of
from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.rl.bandit import Bandit
from gpicl_envs.rl.evaluate import evaluate_players
from gpicl_envs.rl.players.base import CannotPlayError
from gpicl_envs.rl.players.find import find_player
from gpicl_envs.tasks.classification import TaskDistribution

SMALL = {"n_features": 12, "n_classes": 3, "length": 10}


@pytest.mark.parametrize("algorithm", ["PPO", "RecurrentPPO"])
def test_a_trained_policy_is_saved_and_evaluated_like_any_learner(algorithm: str, tmp_path):
    made = train_policy(algorithm, "GPICL-Clusters-v0", tmp_path / "run", seconds=2.0, num_envs=4, **SMALL)
    loaded = make_learner(f"sb3:{tmp_path / 'run'}")
    check_learner(loaded, length=8)
    tasks = TaskDistribution("Clusters", split="test", **SMALL)
    a, b = (evaluate(learner, tasks, episodes=8) for learner in (made, loaded))
    assert (a.likelihood.nll == b.likelihood.nll).all() and a.learner == f"sb3-{algorithm}"
    assert json.loads((tmp_path / "run" / "config.json").read_text())["trained"]["examples"] >= 40


def test_the_recurrent_policy_predicts_what_it_plays_in_stable_baselines():
    learner = PolicyLearner("RecurrentPPO", 5, 3).eval()
    x, y = torch.randn(2, 6, 5), torch.randint(3, (2, 6))
    labels = torch.nn.functional.one_hot(y, 3).float().roll(1, 1)
    labels[:, 0] = 0
    predicted = learner.predict(x, y).argmax(2)
    state, start = None, [True, True]
    for n in range(6):
        observation = torch.cat([x[:, n], labels[:, n]], 1).numpy()
        action, state = learner.policy.predict(observation, state, start, deterministic=True)
        assert action.tolist() == predicted[:, n].tolist()
        start = [False, False]


def test_folders_that_are_in_the_way_or_damaged_are_named(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(ValueError, match="mine is not an empty folder"):
        train_policy("PPO", "GPICL-Clusters-v0", tmp_path / "mine", seconds=1.0, **SMALL)
    with pytest.raises(ValueError, match="holds no policy"):
        load_policy(tmp_path / "mine")
    folder = tmp_path / "ppo"
    train_policy("PPO", "GPICL-Clusters-v0", folder, seconds=0.2, num_envs=2, **SMALL)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(ValueError, match="damaged or was replaced"):
        load_policy(folder)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policy") / "ppo"
    train_policy("PPO", "GPICL-Clusters-v0", folder, seconds=0.2, num_envs=2, **SMALL)
    return folder


def copied(policy: Path, tmp_path: Path, **changes: object) -> Path:
    """A copy whose config has other values; ... takes a field away."""
    folder = tmp_path / "copy"
    folder.mkdir()
    weights = {name: values + 0.0 for name, values in load_file(policy / "model.safetensors").items()}
    if changes.pop("nan", False):
        next(iter(weights.values())).view(-1)[0] = torch.nan
    save_file(weights, folder / "model.safetensors")
    given = (
        json.loads((policy / "config.json").read_text()) | {"sha256": sha256_of(folder / "model.safetensors")} | changes
    )
    (folder / "config.json").write_text(json.dumps({name: value for name, value in given.items() if value is not ...}))
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "gpicl-sb3-0"}, "config.json has the format 'gpicl-sb3-0', but this version reads 'gpicl-sb3-1'"),
        ({"format": ...}, "config.json has the format None"),
        ({"algorithm": "DQN"}, "config.json: algorithm='DQN': Input should be 'PPO' or 'RecurrentPPO'"),
        ({"algorithm": "RecurrentPPO"}, "model.safetensors does not fit its config.json: .*lstm_actor"),
        ({"n_features": ...}, "config.json: n_features is missing"),
        ({"n_features": 12.5}, "config.json: n_features=12.5: Input should be a valid integer"),
        (
            {"n_features": -3},
            "model.safetensors does not fit its config.json: no weights take .* = 0 numbers",
        ),
        ({"n_features": 2**40}, "model.safetensors does not fit its config.json: no weights take inputs"),
        ({"n_features": 13, "n_classes": 2}, "model.safetensors does not fit its config.json: .*size mismatch"),
        ({"n_features": 14, "n_classes": 1}, "model.safetensors does not fit its config.json: .*n_classes=1"),
        ({"sha256": 3}, "config.json: sha256=3: Input should be a valid string"),
        ({"sha256": "0" * 64}, "model.safetensors is damaged or was replaced"),
        ({"nan": True}, "model.safetensors holds numbers that are not finite, in "),
    ],
    ids=str,
)
def test_a_damaged_policy_is_refused_by_file_and_field(policy: Path, tmp_path: Path, changes: dict, message: str):
    assert load_policy(policy).n_features == 12
    with pytest.raises(ValueError, match=message):
        make_learner(f"sb3:{copied(policy, tmp_path, **changes)}")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 10_000, b"\xff\xfe", b"3", bytes(100), b"null"])
def test_a_file_of_something_else_is_named(policy: Path, tmp_path: Path, name: str, content: bytes):
    folder = copied(policy, tmp_path)
    (folder / name).write_bytes(content)
    if name == "model.safetensors":
        config = json.loads((folder / "config.json").read_text()) | {"sha256": sha256_of(folder / name)}
        (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=name):
        load_policy(folder)


@pytest.mark.parametrize("count", [50, pytest.param(300, marks=pytest.mark.slow)])
def test_every_damaged_config_is_read_or_refused_by_file(policy: Path, tmp_path: Path, count: int):
    folder, whole = copied(policy, tmp_path), (policy / "config.json").read_bytes()
    for seed in range(count):
        chance = random.Random(seed)
        content = damaged_value(whole.decode(), chance).encode() if seed % 3 else damaged_bytes(whole, chance)
        (folder / "config.json").write_bytes(content)
        try:
            assert load_policy(folder).n_features == 12
        except ValueError as error:
            assert str(folder) in str(error) and len(str(error)) < 2000, str(error)


def test_a_policy_of_an_rl_problem_is_saved_and_scored_as_a_player(tmp_path):
    made = Bandit(n_arms=3, length=6, split="test")
    folder = tmp_path / "bandit"
    trained = train_policy("RecurrentPPO", "GPICL-Bandit-v0", folder, seconds=0.2, num_envs=2, n_arms=3, length=6)
    assert (trained.n_features, trained.n_classes) == (3, 3)
    player = find_player(f"sb3:{folder}", made).player
    curves = evaluate_players([player, trained.as_player(made)], made, problems=20)
    assert (curves[0].rewards == curves[1].rewards).all() and curves[0].player == "sb3-RecurrentPPO"
    with pytest.raises(CannotPlayError, match="trained on"):
        find_player(f"sb3:{folder}", Bandit(n_arms=4))


def test_a_zip_file_which_holds_pickles_is_refused_with_the_way_to_play_it(tmp_path):
    (tmp_path / "model.zip").touch()
    with pytest.raises(ValueError, match="hold pickles, which run code .* give Sb3Player"):
        make_learner(f"sb3:{tmp_path / 'model.zip'}")
