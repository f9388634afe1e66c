import pytest
from trial_records import query, record

from gpicl_agents.experiments import induction
from gpicl_agents.experiments.engine.trial import EQUAL, PREVIOUS, SAME_CLASS, Inspection, Stage, Training, TrialRecord
from gpicl_agents.models.transformer import Transformer
from gpicl_envs.evaluation.protocol import UNSEEN_TASK
from gpicl_envs.evaluation.records import Estimate
from gpicl_envs.tasks import make_tasks


def heads(*layers: tuple[float, float]) -> list[list[Estimate]]:
    return [[Estimate(value, value, value) for value in layer] for layer in layers]


def run(seed: int) -> TrialRecord:
    """At step 100 head L1H1 reads half of what it reads at the end; L0H0 does so at step 150."""
    same, previous = {50: 0.1, 100: 0.5, 150: 0.8, 200: 0.8}, {50: 0.2, 100: 0.2, 150: 0.7, 200: 0.9}
    history = [
        Stage(
            step,
            {UNSEEN_TASK: [0.0, accuracy]},
            {
                SAME_CLASS: heads((0.1, 0.1), (0.1, same[step])),
                PREVIOUS: heads((previous[step], 0.1), (0.1, 0.1)),
                EQUAL: heads((0.11,)),
            },
        )
        for step, accuracy in ((50, 0.1), (100, 0.2), (150, 0.9), (200, 0.9))
    ]
    results = {"all heads": query(0.9), "MNIST": query(0.4), "without L0": query(0.2), "without L1": query(0.1)}
    for name, left in {"L0H0": 0.25, "L0H1": 0.88, "L1H0": 0.85, "L1H1": 0.15}.items():
        results[f"without {name}"] = query(left)
    shown = Inspection("MNIST", [[[0, 255]]] * 3, [1, 0, 1], [[[[1.0, 0, 0], [0.5, 0.5, 0], [0, 0.9, 0.1]]] * 2] * 2)
    axes = {"tokens": "paper", "layers": 2, "seed": seed}
    return record(axes, results, training=Training(steps=200, history=history), inspections=[shown])


def test_findings_name_the_heads_when_they_formed_and_what_is_left_without_them():
    lines = induction.findings([run(0), run(1)])
    assert lines[0] == (
        "paper tokens, 2 layers: most attention to the same class in layer 1 in 2 of 2 runs; most attention to the "
        "previous example in layer 0 in 2 of 2 runs."
    )
    assert "accuracy on the query 90.0 % [90.0, 90.0], half of the rise by step 150." in lines[1]
    same = (
        "same class: L1H1, 0.80 [0.80, 0.80] (with equal attention 0.11, half of the rise by step 100); without it 15.0"
    )
    assert same in lines[1]
    assert "previous example: L0H0, 0.90 [0.90, 0.90] (half of the rise by step 150); without it 25.0 %" in lines[1]
    assert "without any other head at least 85.0 %" in lines[1] and "a layer: L0 20.0 %" in lines[1]
    assert lines[1].endswith("On MNIST 40.0 % [40.0, 40.0].") and len(lines) == 3


def test_figures_show_the_masses_and_one_episode(tmp_path):
    assert induction.draw([run(0), run(1)], tmp_path) == ["induction.png", "induction-episodes.png"]
    assert all((tmp_path / name).stat().st_size > 10_000 for name in ("induction.png", "induction-episodes.png"))


@pytest.mark.parametrize("scale", ["small", "paper"])
def test_trials_make_learners_and_episodes_of_eight_classes(scale: str):
    trials = induction.trials(scale)
    assert [(trial.axes["tokens"], trial.axes["layers"]) for trial in trials] == (
        [("paper", 2)] * 4 + [("paper", 1)] * 2 + [("paired", 2)] * 2
    )
    tasks = make_tasks(**trials[0].env_kwargs)
    labels = tasks.sample(8)
    assert tasks.n_classes == 16 and tasks.length == 17
    classes = tasks.dataset.y["train"][labels.index]
    assert all(len(set(row[:16].tolist())) == 8 for row in classes) and all(row[16] in row[:16] for row in classes)
    for trial in trials[::4]:
        assert Transformer(tasks.n_features, 16, **trial.learner_kwargs).n_layers == trial.axes["layers"]
    digits = make_tasks(**trials[0].env_kwargs | trials[0].shown[1].env_kwargs)
    assert [len(trial.shown) for trial in trials] == [2, 0, 0, 0, 2, 0, 2, 0]
    assert digits.n_classes == 16 and digits.dataset.shape == (14, 14)
    assert len(set(digits.dataset.y["test"][digits.sample(1).index[0, :16]].tolist())) == 4


def test_the_result_is_the_accuracy_on_the_query():
    assert induction.result(run(0)) == "query 90.0 % [90.0, 90.0]"
