import shlex
from pathlib import Path

import pytest

from gpicl_agents.commands.run_options import RunOptions
from gpicl_agents.models.lstm import LSTM


def test_the_texts_of_arguments_become_a_learner_and_its_environment():
    run = RunOptions("lstm,width=8", 3, ("input_rank=5",), "GPICL-Digits-v0", ("n_features=20", "length=6"))
    learner, venv = run.set_up(seed=4)
    assert isinstance(learner, LSTM) and (learner.width, learner.input_rank, learner.seed) == (8, 5, 4)
    assert (venv.num_envs, venv.unwrapped.tasks.n_features, venv.unwrapped.tasks.length) == (3, 20, 6)


@pytest.mark.parametrize(
    ("learner", "env", "env_kwargs", "expected"),
    [
        ("lstm,width=3", "GPICL-MNIST-v0", (), "./r knn"),
        ("m:C", "GPICL-Digits-v0", ("length=5",), "m:C@r knn --env GPICL-Digits-v0 --env-kwargs length=5"),
        ("m:C@old", "GPICL-MNIST-v0", (), "m:C@r knn"),
        ("lstm", "GPICL-MNIST-v0", ("n_tasks=4", "feedback=reward", "split=train", "action=label"), "./r knn"),
    ],
)
def test_the_command_that_evaluates_has_the_environment_but_not_its_training(
    learner: str, env: str, env_kwargs: tuple[str, ...], expected: str
):
    run = RunOptions(learner, 3, env=env, env_kwargs=env_kwargs)
    assert run.evaluate_command(Path("r")) == f"gpicl evaluate --learners {expected}"


def test_the_command_that_evaluates_a_policy_has_its_problems_but_not_its_training():
    run = RunOptions("gru", 3, env="GPICL-Bandit-v0", env_kwargs=("n_tasks=16", "n_arms=3", "split=train"))
    expected = "gpicl evaluate-rl --env GPICL-Bandit-v0 --env-kwargs n_arms=3 --players ./search uniform"
    assert run.evaluate_command(Path("search")) == expected


@pytest.mark.parametrize(
    ("learner", "env_kwargs", "words"),
    [
        ("lstm", (), ["a b/c'd", "knn"]),
        ("m:C", ("dataset=my $HOME",), ["m:C@a b/c'd", "knn", "--env-kwargs", "dataset=my $HOME"]),
    ],
)
def test_the_command_that_evaluates_is_quoted_for_the_shell(
    learner: str, env_kwargs: tuple[str, ...], words: list[str]
):
    command = RunOptions(learner, 3, env_kwargs=env_kwargs).evaluate_command(Path("a b/c'd"))
    assert shlex.split(command) == ["gpicl", "evaluate", "--learners", *words]
