from dataclasses import replace

import pytest
from trial_records import record, result

from gpicl_agents.evaluations import Summary, find_available
from gpicl_agents.experiments import shift
from gpicl_agents.experiments.engine.trial import TrialRecord
from gpicl_agents.pretrained import pretrained_names
from gpicl_envs.evaluation.protocol import UNSEEN_TASK, find_protocol
from gpicl_envs.evaluation.records import Band, Estimate


def accuracy(mean: float, reach: float = 0.01) -> Summary:
    return replace(result(0.1, mean), final=Estimate(mean, mean - reach, mean + reach))


def error(mean: float) -> Summary:
    """Of a learner of values, at the last of two examples."""
    return replace(result(0.0, 1 - mean), error=Band([1.0, mean], [1.0, mean - 0.1], [1.0, mean + 0.2]))


def functions(agent: str, seed: int, same: float, skewed: float) -> TrialRecord:
    results = {shift.SAME: error(same), "x_spectrum=skewed": error(skewed), "x_scale=4.0": error(same)}
    return record({"on": shift.FUNCTIONS, "agent": agent, "seed": seed}, results)


def images(agent: str, long: float) -> TrialRecord:
    results = {evaluation.name: accuracy(0.7) for evaluation in shift._shifted(shift.LABELS)}
    results |= {"label_noise=0.4": accuracy(0.3), "length=1000": accuracy(long)}
    return record({"on": shift.LABELS, "agent": agent, "seed": 0}, results)


def test_the_score_of_values_is_the_error_at_the_last_example():
    score = shift._score(functions("transformer", 0, 0.1, 0.5), shift.SAME)
    assert score == pytest.approx((0.1, 0.0, 0.3))


def test_the_worst_shift_is_the_one_with_the_largest_error_or_the_least_accuracy():
    lines = shift.findings([functions("transformer", seed, 0.1, 0.5 + 0.1 * seed) for seed in (0, 1)])
    assert lines == [
        "functions, transformer: error 10.0 / 10.0 % as in meta-training, 50.0 / 60.0 % at worst (x_spectrum=skewed)."
    ]
    worst, *_ = shift.findings([images("gru", 0.7)])
    assert "accuracy 70.0 % as in meta-training, 30.0 % at worst (label_noise=0.4)" in worst


def test_whether_an_agent_goes_on_learning_needs_intervals_apart():
    for long, verdict in ((0.8, "goes on learning"), (0.6, "loses"), (0.71, "no clear change")):
        line = shift.findings([images("gru", long)])[1]
        assert line.endswith(f"{verdict}.") and "70.0 % [69.0, 71.0] over examples 91 to 100" in line


def test_the_gap_is_what_the_mask_adds():
    names = [evaluation.name for evaluation in shift._few()]
    results = dict(zip(names, map(accuracy, (0.73, 0.79, 0.75)), strict=True))
    (line,) = shift.findings([record({"on": shift.CHECKPOINTS, "agent": "gpicl-small"}, results)])
    assert "73.0 % [72.0, 74.0], with the mask 79.0 % [78.0, 80.0] (+6.0 points); ten classes 75.0 %" in line


def test_the_table_has_means_over_seeds_for_every_shift():
    rows = [
        record(
            {"on": shift.FUNCTIONS, "agent": "transformer", "seed": seed},
            {evaluation.name: error(0.4 + 0.1 * seed) for evaluation in shift._shifted(shift.FUNCTIONS)},
        )
        for seed in (0, 1)
    ]
    lines = shift.table(rows).splitlines()
    assert lines[2] == "| as in meta-training | 45.0 |" and len(lines) == 2 + len(shift._shifted(shift.FUNCTIONS))


@pytest.mark.parametrize("scale", ["small", "paper"])
def test_every_evaluation_is_of_new_tasks_and_has_what_its_name_says(scale: str):
    trials = shift.trials(scale)
    for trial in trials:
        available, missing = find_available(trial.evaluations, trial.env_kwargs)
        assert not missing
        for evaluation, tasks in available:
            assert find_protocol(UNSEEN_TASK, tasks) == evaluation.protocol == UNSEEN_TASK
            name, _, value = evaluation.name.partition("=")
            assert not value or str(getattr(tasks, name)).strip("[]").split(", ")[0] == value
    names = {evaluation.name for trial in trials for evaluation in trial.evaluations}
    assert {"x_spectrum=skewed", "orthants=opposite", "length=1000", "active_classes=3", "label_noise=0.4"} <= names


def test_checkpoints_are_met_as_they_are_and_meta_trained_further_on_ten_and_on_2_to_10_classes():
    trials = [trial for trial in shift.trials("small") if trial.axes["on"] == shift.CHECKPOINTS]
    pretrained = [trial for trial in trials if trial.learner.startswith("pretrained:")]
    assert {trial.learner.removeprefix("pretrained:") for trial in pretrained} <= set(pretrained_names())
    given = {(trial.train_kwargs is None, str(trial.env_kwargs.get("active_classes"))) for trial in pretrained}
    assert given == {(True, "None"), (False, "None"), (False, "(2, 10)")}
    assert all([evaluation.only_seen for evaluation in trial.evaluations] == [False, True, False] for trial in trials)
