import json

import pytest
import torch

pytest.importorskip("sb3_contrib", reason="needs the extra `rl`")

from gpicl_baselines.adapters.sb3_policy import PolicyLearner, load_policy, train_policy
from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import make_learner
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
