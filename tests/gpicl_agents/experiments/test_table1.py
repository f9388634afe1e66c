from dataclasses import replace

from trial_records import record, result

from gpicl_agents.evaluations import Summary
from gpicl_agents.experiments import table1
from gpicl_agents.experiments.engine.trial import Training, TrialRecord
from gpicl_envs.evaluation.records import Band
from gpicl_envs.report.paper import COLUMNS


def at_the_last(accuracy: float) -> Summary:
    """An accuracy at the last example that differs from that over the last ten."""
    low, high = accuracy - 0.02, accuracy + 0.03
    return replace(result(0.1, 0.5), accuracy=Band([0.1, accuracy], [0.1, low], [0.1, high]))


def run(learner: str, seed: int | None = None, steps: int = 0, **accuracies: float) -> TrialRecord:
    axes = {"learner": learner} if seed is None else {"preset": learner, "seed": seed}
    results = {column: at_the_last(accuracy) for column, accuracy in accuracies.items()}
    return record(axes, results, learner=learner, training=Training(steps=steps))


RECORDS = [
    run("vsml", 0, 500, MNIST=0.7, Digits=0.5),
    run("vsml", 1, 500, MNIST=0.72, Digits=0.4),
    run("knn", MNIST=0.6),
    run("ridge", MNIST=0.65),
]


def test_the_best_learner_with_and_without_training_is_named_with_how_many_it_was_selected_from():
    assert table1.findings(RECORDS) == [
        "MNIST: best of 2 meta-trained: vsml, seed 1 72.0 % [70.0, 75.0]; best of 2 without training: ridge 65.0 % "
        "[63.0, 68.0]; the paper's Transformer: 73.7 %.",
        "Digits: best of 2 meta-trained: vsml 50.0 % [48.0, 53.0].",
    ]
    assert table1.result(RECORDS[0]) == "MNIST 70.0 %, Digits 50.0 %"


def test_the_table_has_our_rows_then_the_paper_s():
    lines = table1.table(RECORDS).splitlines()
    assert lines[:3] == ["| | MNIST | Digits |", "|---|--:|--:|", "| vsml | 70.0 [68.0, 73.0] | 50.0 [48.0, 53.0] |"]
    assert lines[4] == "| knn | 60.0 [58.0, 63.0] | – |"
    assert "| GPICL Transformer (published) | 73.7 | – |" in lines and "| SGD (published) | 70.3 | – |" in lines
    assert lines[-1].startswith("Published: Kirsch et al. 2022, Table 1")


def test_every_column_of_the_paper_is_evaluated_and_a_preset_keeps_its_learner():
    trials = table1.trials("small")
    for trial in trials:
        assert tuple(evaluation.name for evaluation in trial.evaluations)[: len(COLUMNS)] == COLUMNS
        assert {evaluation.episodes for evaluation in trial.evaluations} == {1024}
    trained = [trial.axes["preset"] for trial in trials if trial.train_kwargs is not None]
    assert trained == ["vsml", "fast", "outer-product", "deltanet", "maml", "similarity"]
    assert [trial.learner for trial in trials if trial.train_kwargs is None] == ["sgd", "knn", "ridge", "kernel-ridge"]
    paper = [trial for trial in table1.trials("paper") if trial.train_kwargs is not None]
    assert {(trial.train_kwargs["steps"], trial.batch_size) for trial in paper} == {(50_000, 512)}
