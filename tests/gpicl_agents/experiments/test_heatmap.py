import pytest
from trial_records import record, result

from gpicl_agents.evaluations import Summary
from gpicl_agents.experiments import heatmap
from gpicl_agents.experiments.engine.experiment import find_experiment
from gpicl_agents.experiments.engine.trial import TrialRecord
from gpicl_envs.evaluation.protocol import SEEN_TASK, UNSEEN_TASK


def run(learner: str, width: int, n_tasks: int, seed: int, unseen: Summary) -> TrialRecord:
    axes = {"learner": learner, "width": width, "n_tasks": n_tasks, "seed": seed}
    return record(axes, {SEEN_TASK: result(0.1, 0.9), UNSEEN_TASK: unseen})


def test_where_learning_begins_is_where_every_run_is_above_chance():
    chance, margin, learned = result(0.1, 0.1), result(0.1, 0.15), result(0.1, 0.6)
    rows = [run("transformer", 64, 2**k, seed, learned) for k in (8, 12) for seed in (0, 1)]
    rows += [run("transformer", 64, 2**4, seed, found) for seed, found in enumerate((learned, margin))]
    rows += [run("transformer", 16, 2**12, seed, chance) for seed in (0, 1)]
    rows += [run("memoryless-mlp", 64, 2**12, 0, chance)]
    assert heatmap.findings(rows) == [
        "transformer: on unseen tasks 5 of 8 runs are above chance by more than 5 points (95 % interval); the best "
        "reaches 60 %.",
        "transformer, width 64: above chance in every run from 2^8 tasks on.",
        "memoryless-mlp: on unseen tasks 0 of 1 runs are above chance by more than 5 points (95 % interval); the best "
        "reaches 10 %.",
    ]


def test_the_result_has_both_evaluations():
    record = run("transformer", 64, 16, 0, result(0.1, 0.25))
    assert find_experiment("heatmap").result(record) == "seen-task 90 %, unseen-task 25 %"


@pytest.mark.parametrize("scale", ["small", "paper"])
def test_every_cell_of_the_map_has_two_seeds(scale: str):
    cells: dict[tuple, list[int]] = {}
    for trial in heatmap.trials(scale):
        assert trial.env_kwargs["n_tasks"] == trial.axes["n_tasks"]
        assert trial.learner_kwargs["width"] == trial.axes["width"]
        assert trial.learner == "memoryless-mlp" or trial.axes["width"] % trial.learner_kwargs["n_heads"] == 0
        key = trial.learner, trial.axes["width"], trial.axes["n_tasks"]
        cells.setdefault(key, []).append(trial.axes["seed"])
    assert all(seeds == [0, 1] for seeds in cells.values())
