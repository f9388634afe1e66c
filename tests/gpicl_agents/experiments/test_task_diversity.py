import math
from dataclasses import replace

import pytest
from trial_records import record, result

from gpicl_agents.experiments import task_diversity
from gpicl_agents.experiments.engine.trial import Records, TrialRecord
from gpicl_envs.evaluation.protocol import SEEN_TASK, UNSEEN_TASK
from gpicl_envs.evaluation.records import Estimate
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks import make_tasks


def run(n_tasks: int, seed: int, dmmse: float, ridge: float) -> TrialRecord:
    """A model at these squared distances, in units of D = 8, on seen and on new tasks."""
    distances = {"dmmse": Estimate(8 * dmmse, 0.0, 8.0), "optimal-ridge": Estimate(8 * ridge, 0.0, 8.0)}
    found = replace(result(0.1, 0.5), distances=distances)
    axes = {"learner": "lstm", "n_tasks": n_tasks, "seed": seed}
    return record(axes, {SEEN_TASK: found, UNSEEN_TASK: found}, trial=f"{n_tasks}, {seed}")


def crossing_at(seed: int, exponents: tuple[int, int]) -> Records:
    """Nearer to dMMSE by a factor of e² below, to ridge by as much above: the threshold lies halfway between."""
    low, high = exponents
    below = [run(2**k, seed, 0.1, 0.1 * math.e**2) for k in (2, low)]
    return [*below, *(run(2**k, seed, 0.1 * math.e**2, 0.1) for k in (high, 12))]


def test_the_threshold_is_where_the_distances_cross_with_an_interval_over_seeds():
    lines = task_diversity.findings([*crossing_at(0, (5, 7)), *crossing_at(1, (7, 9))])
    reach = 12.706 * 2**0.5 / 2**0.5  # Student's t with one degree of freedom, of 6 and 8
    assert "one value per seed: 2^6.0, 2^8.0; mean 2^7.0" in lines[-1]
    assert f"[2^{7 - reach:.1f}, 2^{7 + reach:.1f}]" in lines[-1]
    assert (
        "below 2^6 tasks 3 of 3 runs are nearer to dmmse; above 2^10, 2 of 2 are nearer to optimal-ridge" in lines[-2]
    )
    assert lines[0].startswith("2^2 tasks, on new ones: nearer to **dmmse**") and "to dmmse 0.100 / 0.100" in lines[0]
    assert "2^7 tasks, on new ones: nearer to **optimal-ridge / dmmse**" in lines[2]


def test_without_a_crossing_there_is_no_threshold():
    always_ridge = [run(2**k, 0, 0.5, 0.1) for k in (1, 5)]
    lines = task_diversity.findings(always_ridge)
    assert lines[-1] == "Threshold, one value per seed: none."
    assert "below 2^6 tasks 0 of 2 runs are nearer to dmmse; above 2^10, 0 of 0" in lines[-2]


def test_the_result_has_the_distances_that_were_measured():
    assert task_diversity.result(run(4, 0, 0.25, 0.5)) == (
        "seen-task: 0.250 to dmmse, 0.500 to optimal-ridge; unseen-task: 0.250 to dmmse, 0.500 to optimal-ridge"
    )


@pytest.mark.parametrize("scale", ["small", "paper"])
def test_every_model_is_compared_with_the_estimator_of_its_own_tasks(scale: str):
    trained = [trial for trial in task_diversity.trials(scale) if trial.train_kwargs is not None]
    assert {trial.axes["n_tasks"] for trial in trained} <= {2**k for k in range(1, 15)}
    for trial in trained:
        tasks = make_tasks(**trial.env_kwargs)
        reference = make_learner(trial.references["dmmse"], tasks=tasks)
        assert (reference.n_tasks, reference.task_seed) == (tasks.n_tasks, tasks.task_seed)
        assert reference.noise == tasks.noise == 0.5 and tasks.n_features == 8
        assert tasks.task_seed == trial.axes["seed"]
