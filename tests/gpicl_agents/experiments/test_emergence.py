from trial_records import record, result

from gpicl_agents.experiments import emergence
from gpicl_agents.experiments.engine.experiment import find_experiment
from gpicl_agents.experiments.engine.trial import Stage, Training, TrialRecord
from gpicl_envs.evaluation.protocol import SEEN_TASK, UNSEEN_TASK


def run(n_tasks: int | str, seed: int, during: dict[int, float], final: float) -> TrialRecord:
    """A run with this accuracy over the last ten positions of unseen tasks at each step; the first ones are right."""
    history = [Stage(step, {UNSEEN_TASK: [1.0] * 5 + [accuracy] * 10}) for step, accuracy in during.items()]
    training = Training(steps=max(during), history=history)
    return record({"n_tasks": n_tasks, "seed": seed}, {UNSEEN_TASK: result(0.1, final)}, training=training)


def test_the_best_step_is_told_from_the_last():
    lasting = run("unlimited", 0, {50: 0.1, 100: 0.4, 1500: 0.7}, final=0.69)
    transient = run(64, 1, {50: 0.1, 100: 0.6, 1500: 0.2}, final=0.21)
    again = run(64, 2, {50: 0.3, 100: 0.3}, final=0.3)  # of equally good steps, the later one
    assert emergence.findings([lasting, transient, again]) == [
        "unlimited tasks, seed 0: accuracy on unseen tasks is highest at step 1,500 (70 %, 64 episodes); at step 1,500 "
        "it is 70 %, and over 512 episodes 69.0 % [69.0, 69.0].",
        "64 tasks, seed 1: accuracy on unseen tasks is highest at step 100 (60 %, 64 episodes); at step 1,500 it is "
        "20 %, and over 512 episodes 21.0 % [21.0, 21.0].",
        "64 tasks, seed 2: accuracy on unseen tasks is highest at step 100 (30 %, 64 episodes); at step 100 it is "
        "30 %, and over 512 episodes 30.0 % [30.0, 30.0].",
    ]


def test_the_result_has_every_evaluation():
    found = record({}, {SEEN_TASK: result(0.1, 0.98), UNSEEN_TASK: result(0.1, 0.4)})
    assert find_experiment("emergence").result(found) == "seen-task 98 %, unseen-task 40 %"


def test_runs_have_unlimited_tasks_and_few_and_are_evaluated_during_training():
    trials = emergence.trials("small")
    assert [trial.env_kwargs["n_tasks"] for trial in trials] == [None, None, 64, 64]
    assert [trial.env_kwargs["task_seed"] for trial in trials] == [0, 1, 0, 1]
    assert all(trial.train_kwargs["evaluate_every"] == 50 and trial.train_kwargs["evaluate_seen"] for trial in trials)
