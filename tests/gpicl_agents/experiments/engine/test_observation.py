import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from induction_head import LAYER_OF_INDUCTION, LAYER_OF_PREVIOUS, LENGTH, induction_transformer
from tiny_experiment import NEW, TRAINING, trial

from gpicl_agents.evaluations import Evaluation, unseen_tasks
from gpicl_agents.experiments.engine.job import TrialJob
from gpicl_agents.experiments.engine.observation import (
    Observer,
    ablate_heads,
    inspect_episodes,
    measure_attention,
    without,
)
from gpicl_agents.experiments.engine.trial import EQUAL, PREVIOUS, SAME_CLASS, Stage
from gpicl_agents.training.progress import Progress
from gpicl_envs.tasks.classification import TaskDistribution

DURING = Evaluation("noisy", "unseen-task", NEW | {"label_noise": 1.0}, 8)
INSPECTED = Evaluation("unseen-task", "unseen-task", NEW, 8)
DIGITS = Evaluation("Digits", "unseen-dataset", NEW, 8)
OBSERVED = replace(trial(2), evaluations=(), during=(DURING,), inspected=INSPECTED, shown=(DIGITS,))
CLUSTERS = {"dataset": "Clusters", "n_clusters": 8, "n_classes": 4, "within_class_noise": 0.05, "n_features": 8}
EPISODES = CLUSTERS | {"projection": "orthogonal", "length": LENGTH, "active_classes": 4}


def test_a_trial_that_is_observed_keeps_its_measurements_at_every_evaluation(tmp_path: Path):
    record = TrialJob(OBSERVED, "tiny", "small", tmp_path).run().value
    first, last = record.training.history
    assert (first.step, last.step) == (3, 6)
    assert {"unseen-task", "noisy"} == first.accuracy.keys() and len(first.accuracy["noisy"]) == 12
    assert first.attention.keys() == {SAME_CLASS, PREVIOUS, EQUAL} and first.attention != last.attention
    ((mass,),) = first.attention[SAME_CLASS]  # one layer of one head
    assert 0 <= mass.low < mass.mean < mass.high <= 1
    assert record.results.keys() == {"all heads", "without L0H0", "without L0"}
    (shown,) = record.inspections
    assert shown.name == "Digits" and np.array(shown.weights).shape == (1, 1, 12, 12) and len(shown.labels) == 12
    assert np.array(shown.images).shape == (12, 8, 8) and np.array(shown.images).max() == 255


def test_a_trial_that_was_killed_keeps_the_stages_before_and_leaves_out_one_that_was_not_measured(tmp_path: Path):
    job = TrialJob(OBSERVED, "tiny", "small", tmp_path)
    whole = job.run().value
    assert job.run().value.training.history == whole.training.history  # nothing left to train
    (tmp_path / "stages" / "3.json").unlink()
    assert job.run().value.training.history == whole.training.history[1:]


def test_what_is_measured_during_training_does_not_change_it(tmp_path: Path):
    observed, plain = (
        TrialJob(each, "tiny", "small", tmp_path / name).run().value
        for each, name in ((OBSERVED, "a"), (replace(OBSERVED, during=(), inspected=None, shown=()), "b"))
    )
    assert observed.training.losses == plain.training.losses and plain.inspections == []
    assert plain.training.history[0].attention == {} and not (tmp_path / "b" / "stages").exists()


def test_the_masses_and_the_ablations_find_a_hand_made_induction_head():
    learner = induction_transformer()
    tasks = TaskDistribution(**EPISODES, split="test")
    found = measure_attention(learner, tasks, 32)
    layer, head = LAYER_OF_INDUCTION
    assert found[SAME_CLASS][layer][head].low > 0.9 > found[SAME_CLASS][1 - layer][head].high
    assert found[PREVIOUS][LAYER_OF_PREVIOUS[0]][LAYER_OF_PREVIOUS[1]].low > 0.9
    assert found[EQUAL][0][0].mean == pytest.approx(0.24, abs=0.03)  # K = 4
    made = replace(trial(2), env_kwargs=EPISODES, inspected=unseen_tasks(32))
    accuracy = {name: result.final.mean for name, result in ablate_heads(made, EPISODES, learner).items()}
    needed = {without(*LAYER_OF_INDUCTION), without(*LAYER_OF_PREVIOUS), without(0), without(1)}
    assert all((value < 0.5) == (name in needed) for name, value in accuracy.items()) and len(accuracy) == 7
    assert accuracy[without()] > 0.95


def test_an_episode_of_a_dataset_that_is_missing_is_not_shown(no_svhn):
    missing = replace(trial(2), shown=(Evaluation("SVHN", "unseen-dataset", NEW | {"dataset": "SVHN"}, 8),))
    assert inspect_episodes(missing, missing.env_kwargs, induction_transformer()) == []


@pytest.mark.parametrize(("n_clusters", "height", "width"), [(8, 8, 8), (65, 1, 65)])
def test_a_vector_is_shown_as_a_square_if_it_can_be_and_else_as_a_row(n_clusters: int, height: int, width: int):
    env_kwargs = EPISODES | {"n_clusters": n_clusters}
    made = replace(trial(2), env_kwargs=env_kwargs, shown=(unseen_tasks(1),))
    (found,) = inspect_episodes(made, env_kwargs, induction_transformer())
    assert np.array(found.images).shape == (LENGTH, height, width)
    weights = torch.tensor(found.weights)
    assert torch.allclose(weights.sum(-1), torch.ones(()), atol=2e-2)  # rounded


def test_it_measures_only_where_training_evaluates(tmp_path: Path):
    learner = TrialJob(OBSERVED, "tiny", "small", tmp_path / "run").run().value
    assert learner.training.steps == TRAINING["steps"]
    observer = Observer(OBSERVED, OBSERVED.env_kwargs, induction_transformer(), tmp_path)
    observer(Progress(step=4, evaluated=False))
    assert not (tmp_path / "stages").exists()
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "8.json").write_text(json.dumps(asdict(Stage(8, {"noisy": [0.5]}, {}))))
    (stage,) = observer.complete([Stage(4, {"unseen-task": [0.1]}), Stage(8, {"unseen-task": [0.2]})])
    assert stage == Stage(8, {"unseen-task": [0.2], "noisy": [0.5]})
