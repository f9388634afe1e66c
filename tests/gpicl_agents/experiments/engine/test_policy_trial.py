"""A trial that meta-trains a policy from rewards."""

from dataclasses import replace
from pathlib import Path

from gpicl_agents.evaluations import Evaluation
from gpicl_agents.experiments.engine.job import TrialJob
from gpicl_agents.experiments.engine.policy_trial import PolicyTrial
from gpicl_envs.evaluation.protocol import SEEN_TASK, UNSEEN_TASK

TRIAL = PolicyTrial(
    axes={"seed": 0},
    learner="gru",
    learner_kwargs={"width": 8},
    env_kwargs={"env": "GPICL-TabularMDP-v0", "n_projections": 2},
    train_kwargs={"steps": 2, "evaluate_every": 0},
    batch_size=4,
    evaluations=(
        Evaluation("new", UNSEEN_TASK, {"env": "GPICL-TabularMDP-v0"}, episodes=20),
        Evaluation(SEEN_TASK, SEEN_TASK, {"env": "GPICL-TabularMDP-v0", "n_projections": 2}, episodes=20),
    ),
)


def test_a_policy_is_trained_evaluated_and_resumed(tmp_path: Path):
    records = [TrialJob(TRIAL, "some", "small", tmp_path / name).run().value for name in ("a", "b", "a")]
    assert all(record.status == "ok" and record.training.steps == 2 for record in records)
    assert records[0].results == records[1].results == records[2].results  # of the same weights
    assert set(records[0].results) == {"new", SEEN_TASK} and records[0].results["new"] != records[0].results[SEEN_TASK]
    assert (tmp_path / "a" / "checkpoints" / "step-00000002").is_dir() and records[0].learner == "gru"


def test_a_policy_that_is_not_trained_plays_at_random(tmp_path: Path):
    outcome = TrialJob(replace(TRIAL, train_kwargs=None), "some", "small", tmp_path).run()
    assert outcome.value.training.steps == 0 and not list(tmp_path.iterdir())
    gain = outcome.value.results["new"].gain
    assert gain.low < 0 < gain.high
