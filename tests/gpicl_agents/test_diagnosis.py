import re

import gymnasium
import pytest

from gpicl_agents.diagnosis import GENERAL, INSTANCES, NEW_EXAMPLES, NOTHING, SEEN, TASKS, UNSEEN, diagnose
from gpicl_agents.training.config import TrainConfig
from gpicl_agents.training.supervised import train
from gpicl_envs.cli import main
from gpicl_envs.learners.registry import make_learner


def answer(first: float, final: float, width: float = 0.02) -> dict:
    """What a record keeps of a question, with intervals of ± width."""
    values = {"first": first, "final": final, "gain": final - first}
    return {name: [value, value - width, value + width] for name, value in values.items()}


@pytest.mark.parametrize(
    ("seen", "new", "unseen", "phase", "reason"),
    [
        ((0.1, 0.7), (0.1, 0.7), (0.1, 0.65), GENERAL, "unseen-task: 10 → 65 %, gain \\+55.0 \\[\\+53.0, \\+57.0\\]"),
        ((0.6, 0.9), (0.6, 0.9), (0.1, 0.1), TASKS, "seen-task: 60 → 90 %"),
        ((0.98, 0.99), (0.1, 0.1), (0.1, 0.1), INSTANCES, "98 % right if seen before, 10 % .*examples one by one$"),
        ((0.98, 0.99), (0.6, 0.6), (0.1, 0.1), INSTANCES, "60 % .*one by one, and something of their tasks"),
        ((0.98, 0.99), (0.97, 0.97), (0.1, 0.1), INSTANCES, "97 % .*knows the tasks, not just their examples"),
        ((0.1, 0.11), (0.1, 0.1), (0.1, 0.1), NOTHING, "at chance \\(10 %\\)"),
        (
            (0.1, 0.16),
            (0.1, 0.1),
            (0.1, 0.16),
            NOTHING,
            "gain \\+6.0 \\[\\+4.0",
        ),  # the interval does not clear 5 points
    ],
)
def test_the_diagnosis_follows_from_the_intervals(seen, new, unseen, phase, reason):
    found = diagnose({SEEN: answer(*seen), NEW_EXAMPLES: answer(*new), UNSEEN: answer(*unseen)})
    assert found.phase == phase
    assert any(re.search(reason, text) for text in found.reasons), found.reasons


def test_a_checkpoint_of_one_task_is_told_from_a_learner_and_says_itself_what_it_was_trained_on(tmp_path, capsys):
    venv = gymnasium.make_vec("GPICL-Digits-v0", num_envs=16, n_features=64, length=20, n_tasks=1)
    learner = make_learner("memoryless-mlp", n_features=64, width=64, seed=0)
    config = TrainConfig(steps=80, learning_rate=1e-2, warmup_steps=5, evaluate_every=0)
    train(learner, venv, config, folder=tmp_path / "one")
    main(["diagnose", str(tmp_path / "one"), "--episodes", "64"])
    said = capsys.readouterr().out
    assert "meta-trained on 1 task of Digits: instance memorisation" in said and "unseen-task" in said
    main("diagnose knn --env GPICL-Digits-v0 --env-kwargs n_features=64 length=40 --episodes 64".split())
    said = capsys.readouterr().out
    assert "1-nn-cosine, meta-trained on unlimited tasks of Digits: general-purpose learning" in said
    assert "new tasks, train images: " in said and "MNIST: " in said
    assert NEW_EXAMPLES not in said  # there are none of tasks that are never met again


@pytest.mark.parametrize("tasks", ["--env GPICL-Random-v0", "--env-kwargs class_imbalance=20 n_features=64"])
def test_who_counts_labels_has_not_learned_to_learn(tasks: str, capsys):
    """Its accuracy rises by more than ten points in these episodes, all of it by counting."""
    main(["diagnose", "majority", *tasks.split(), "--episodes", "128"])
    said = capsys.readouterr().out
    assert "nothing learned yet" in said and "gain +0.0 [+0.0, +0.0]" in said
    main(["diagnose", "knn", *tasks.split(), "--episodes", "128"])
    assert "general-purpose learning" in capsys.readouterr().out


def test_a_dataset_that_cannot_pose_such_tasks_is_left_out_with_its_reason(capsys):
    changes = ["n_features=64", "n_classes=20", "length=30"]
    main(["diagnose", "knn", "--env", "GPICL-Omniglot-v0", "--env-kwargs", *changes, "--episodes", "16"])
    said = capsys.readouterr().out
    assert "Digits is left out: n_classes=20 is not allowed" in said and "at chance (5 %)" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing-there"], "Unknown learner 'nothing-there'"),
        (["knn", "--env", "GPICL-LinearRegression-v0"], "is regression"),
        (["knn", "--episodes", "1"], "episodes=1 is not allowed"),
        (["knn", "--env-kwargs", "n_task=3"], "n_task"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str, capsys):
    with pytest.raises(SystemExit):
        main(["diagnose", *arguments])
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
