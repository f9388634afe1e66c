import gymnasium
import pytest

from gpicl_agents.evaluations import NEW_EXAMPLES
from gpicl_agents.training.config import TrainConfig
from gpicl_agents.training.run_setup import set_up
from gpicl_agents.training.supervised import train
from gpicl_envs.cli import main
from gpicl_envs.learners.registry import make_learner


def test_a_checkpoint_of_one_task_is_told_from_a_learner_and_records_what_it_was_trained_on(tmp_path, capsys):
    venv = gymnasium.make_vec("GPICL-Digits-v0", num_envs=16, n_features=64, length=20, n_tasks=1)
    learner = make_learner("memoryless-mlp", n_features=64, width=64, seed=0)
    config = TrainConfig(steps=80, learning_rate=1e-2, warmup_steps=5, evaluate_every=0)
    train(learner, venv, config, folder=tmp_path / "one")
    main(["diagnose", str(tmp_path / "one"), "--episodes", "64"])
    printed = capsys.readouterr().out
    assert "meta-trained on 1 task of Digits: instance memorisation" in printed and "unseen-task" in printed
    digits = ["--env", "GPICL-Digits-v0", "--env-kwargs", "n_features=64", "length=40"]
    main(["diagnose", "knn", *digits, "--episodes", "64"])
    printed = capsys.readouterr().out
    assert "1-nn-cosine, not meta-trained, on unlimited tasks of Digits: general-purpose learning" in printed
    assert "new tasks, train images: " in printed and "MNIST: " in printed
    assert NEW_EXAMPLES not in printed  # there are none of tasks that are never met again


def test_a_dataset_that_does_not_allow_such_tasks_is_left_out_with_its_reason(capsys):
    changes = ["n_features=64", "n_classes=20", "length=30"]
    main(["diagnose", "knn", "--env", "GPICL-Omniglot-v0", "--env-kwargs", *changes, "--episodes", "16"])
    printed = capsys.readouterr().out
    assert "Digits is left out: n_classes=20 is not allowed" in printed and "at chance (5 %)" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing-there"], "Unknown learner 'nothing-there'"),
        (["centroid", "--env", "GPICL-LinearRegression-v0"], "only classifies"),
        (["knn", "--episodes", "1"], "episodes=1 is not allowed"),
        (["knn", "--env-kwargs", "n_task=3"], "n_task"),
        (["psrl", "--env", "GPICL-Bandit-v0"], "psrl does not play Bandit"),
        (["uniform", "--env", "GPICL-Bandit-v0", "--env-kwargs", "length=1"], "give at least 2"),
        (["uniform", "--env", "GPICL-Bandit-v0", "--env-kwargs", "arms=1"], "arms"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str, capsys):
    with pytest.raises(SystemExit):
        main(["diagnose", *arguments])
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_learner_of_functions_is_diagnosed_by_the_variance_that_it_explains(tmp_path, capsys):
    functions = ["--env", "GPICL-LinearRegression-v0", "--env-kwargs", "n_features=4", "length=30"]
    main(["diagnose", "least-squares", *functions, "--episodes", "128"])
    printed = capsys.readouterr().out
    assert "least-squares, not meta-trained, on unlimited tasks of LinearRegression: general-purpose" in printed
    assert (
        "% of the targets' variance explained:" in printed and "→ 100 %" in printed and "TwoLayerNetwork: " in printed
    )
    main(["diagnose", "majority", *functions, "--episodes", "128"])
    assert "nothing learned yet" in capsys.readouterr().out


def test_one_function_is_memorised(tmp_path, capsys):
    arguments = {"n_features": 4, "length": 12, "n_tasks": 1}
    learner, venv = set_up(
        "memoryless-mlp,width=64", batch_size=32, env="GPICL-LinearRegression-v0", env_kwargs=arguments
    )
    train(learner, venv, TrainConfig(steps=150, learning_rate=2e-2, warmup_steps=5, evaluate_every=0), folder=tmp_path)
    main(["diagnose", str(tmp_path), "--episodes", "64"])
    printed = capsys.readouterr().out
    assert "meta-trained on 1 task of LinearRegression: instance memorisation" in printed
    assert "remembers the tasks, not only their examples" in printed


def test_an_agent_of_in_context_rl_is_diagnosed_by_its_gain_within_a_problem(tmp_path, capsys):
    problem = "--env GPICL-Bandit-v0 --env-kwargs length=20 n_tasks=2"
    small = "--learner gru,width=4 --batch-size 4 --steps 2 --epochs 1 --minibatches 1 --evaluate-every 0"
    main(f"train-rl bandit {problem} {small} --out {tmp_path / 'run'}".split())
    capsys.readouterr()
    main(["diagnose", str(tmp_path / "run"), "--episodes", "30"])
    printed = capsys.readouterr().out
    assert "gru, meta-trained on 2 tasks of Bandit: " in printed and "adapt" in printed
    assert "mean reward of the first 2 steps → of the last:" in printed
    assert "seen-task: 0." in printed and "unseen-task: 0." in printed
    main(f"diagnose thompson-sampling {problem} --episodes 200".split())
    assert "meta-trained on 2 tasks of Bandit: adapts on unseen tasks" in capsys.readouterr().out
