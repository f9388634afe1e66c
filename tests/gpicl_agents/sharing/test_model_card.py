import json
from pathlib import Path

import pytest

from gpicl_agents.models.lstm import LSTM
from gpicl_agents.sharing.model_card import SEED, card_of_run, model_card
from gpicl_agents.training.checkpoint import save_checkpoint
from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.evaluation.protocol import UNSEEN_TASK
from gpicl_envs.tasks import make_tasks

PROBLEM = {"dataset": "Digits", "length": 12, "n_features": 20, "n_classes": 4, "n_tasks": None}


@pytest.fixture
def learner() -> LSTM:
    return LSTM(20, 4, width=8, input_rank=4).eval()


def test_a_card_has_the_learner_first_and_the_scores_last(learner: LSTM):
    card = model_card("small", "Something small.", learner, [("Cost", "nothing.")], ["\nNo scores."])
    assert card.splitlines()[:3] == ["# small", "Something small.", ""]
    assert (
        f"- Learner: `lstm`, {learner.n_parameters:,} meta-trained parameters, D = 20, K = 4.\n- Cost: nothing." in card
    )
    values = model_card("v", "", LSTM(20, 1, width=8, input_rank=4), [], [])
    assert "K = 1 (real values)." in values


def test_a_run_s_card_has_data_cost_commit_and_measured_scores(learner: LSTM, tmp_path: Path):
    save_checkpoint(tmp_path, learner, {"step": 30}, {"problem": PROBLEM, "config": {"steps": 30, "target": None}})
    lines = [{"step": 1, "seconds": 60.0}, {"step": 30, "seconds": 90.0}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    card = card_of_run(tmp_path, "user/small", learner, 16)
    assert card.startswith("---\nlibrary_name: gpicl-envs\n") and "\n# user/small\n" in card
    assert '`dataset="Digits" length=12' in card and "Recipe: `steps=30`" in card and "target" not in card
    assert "Cost: 1.5 minutes, 30 steps." in card and "commit " in card
    tasks = make_tasks(**PROBLEM).unseen()
    curve = evaluate(learner, tasks, episodes=16, seed=SEED, protocol=UNSEEN_TASK)
    mean, low, high = (f"{100 * float(value):.1f}" for value in curve.final)
    assert f"| lstm | {mean} [{low}, {high}] |" in card and "| majority |" in card and "| kernel-ridge |" in card


def test_without_a_record_it_says_so(learner: LSTM, tmp_path: Path):
    save_checkpoint(tmp_path, learner, {"step": 2}, {})
    card = card_of_run(tmp_path, "user/small", learner, 16)
    assert "Meta-trained on: not recorded." in card and "No scores were measured" in card


def test_the_data_of_a_card_that_are_missing_leave_it_without_scores(learner: LSTM, tmp_path: Path, own_data: Path):
    save_checkpoint(tmp_path / "run", learner, {"step": 2}, {"problem": PROBLEM | {"dataset": "KMNIST"}})
    assert "No scores were measured when it was pushed: " in card_of_run(tmp_path / "run", "a/b", learner, 16)
