import os
import signal
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from command_line import check_error

from gpicl_agents.commands.train_rl import WRAPPING
from gpicl_agents.training.checkpoint import find_checkpoint, load_learner, read_config
from gpicl_agents.training.config import RewardConfig
from gpicl_agents.training.live_report import LiveReport
from gpicl_envs.cli import main
from gpicl_envs.rl.wrapped_problems import WrappedProblems

SMALL = "--learner gru,width=8 --learner-kwargs input_rank=4 --env GPICL-Digits-v0 --env-kwargs length=5 n_features=16"


def test_a_run_is_trained_from_rewards_and_says_how_to_evaluate_it(tmp_path: Path, capsys):
    main(f"train-rl {SMALL} feedback=reward --batch-size 4 --steps 3 --seed 2 --out {tmp_path / 'run'}".split())
    output = capsys.readouterr().out
    assert "3 steps in " in output and "mean return" in output
    assert "knn --env GPICL-Digits-v0 --env-kwargs length=5 n_features=16" in output and "feedback" not in output
    config = read_config(find_checkpoint(tmp_path / "run"))
    assert config["arguments"]["seed"] == 2 and config["training"]["problem"]["trained on"] == "rewards"
    assert config["training"]["config"]["steps"] == 3 and load_learner(tmp_path / "run").width == 8


def test_the_seed_decides_the_run(tmp_path: Path):
    weights = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        main(f"train-rl {SMALL} --batch-size 4 --steps 2 --seed {seed} --out {tmp_path / name}".split())
        weights.append(torch.nn.utils.parameters_to_vector(load_learner(tmp_path / name).parameters()))
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_ctrl_c_saves_ends_with_code_130_and_the_run_is_resumed(tmp_path: Path, monkeypatch, capsys):
    def interrupt(self: LiveReport, progress) -> None:
        if progress.step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    line = f"train-rl {SMALL} --batch-size 4 --steps 5 --out {tmp_path / 'run'}".split()
    with monkeypatch.context() as patch:
        patch.setattr(LiveReport, "__call__", interrupt)
        with pytest.raises(SystemExit) as stop:
            main(line)
    assert stop.value.code == 130 and "saved at step 3 in" in capsys.readouterr().out
    check_error(" ".join(line), "holds a run already: resume it (--resume)", capsys)
    for _ in range(2):  # resuming a run that is finished changes nothing
        main([*line, "--resume"])
        assert read_config(find_checkpoint(tmp_path / "run"))["step"] == 5
    assert "5 steps in " in capsys.readouterr().out


def test_help_shows_the_settings_of_the_dataclass(monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        main(["train-rl", "rewards", "--help"])
    output = capsys.readouterr().out
    for name, value in vars(RewardConfig()).items():
        shown = "" if value == () else value
        assert f"--{name.replace('_', '-')}" in output and f"(default: {shown})" in output


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train-rl --learner knn", "needs a SequenceAgent"),
        ("train-rl --learner rl2", "make the environment with feedback='reward'"),
        ("train-rl --env GPICL-DecisionTree-v0", "not regression: actions are labels"),
        ("train-rl --steps 0", "steps=0 is not allowed"),
        ("train-rl --batch-size 1", "num_envs=1 leaves no other episode"),
        ("train-rl --env-kwargs action=logits", "action='label'"),
        ("train-rl --env GPICL-Bandit-v0 --env-kwargs n_arms=0", "n_arms=0 is not allowed"),
        ("train-rl --env GPICL-Bandit-v0 --learner knn", "needs a SequenceAgent"),
        ("train-rl bandit --target 5 --evaluate-every 0", "target=5.0 needs evaluations"),
        ("train --env GPICL-Bandit-v0", "GPICL-Bandit-v0 has no labels"),
        ("train-rl --env CartPole-v1 --trials None", "CartPole-v1 has no problems of several episodes: give trials"),
        ("train-rl bandit --env CartPole-v1", "CartPole-v1 has no problems of several episodes: give trials"),
        ("train-rl --env CartPole-v1 --trials 0", "trials=0 is not allowed"),
        ("train-rl --env CartPole-v1 --n-actions 3", "n_actions=3 is of random projections: give project, too"),
        ("train-rl --env CartPole-v1 --project 8 --n-actions 1", "n_actions=1 is not allowed"),
        ("train-rl --env CartPool-v1", "`CartPool` doesn't exist. Did you mean: `CartPole`?"),
        ("train-rl --env CartPole-v1 --env-kwargs mass=1", "CartPole-v1: "),
        ("train-rl control --env GPICL-Bandit-v0", "trials=10 is not for GPICL-Bandit-v0"),
        ("train-rl --env GPICL-MNIST-v0 --trials 3", "GPICL-MNIST-v0 reveals labels"),
        ("train-rl --env CartPole-v1 --learner knn", "needs a SequenceAgent"),
        ("train-rl --env Pendulum-v1 --learner gru,width=8,continuous_actions=False", "but Pendulum-v1 needs True"),
        (
            "evaluate-rl --env CartPole-v1 --players uniform",
            "on any other environment is evaluated by `gpicl diagnose RUN`",
        ),
    ],
)
def test_bad_input_ends_with_one_clear_line(line: str, message: str, capsys: pytest.CaptureFixture[str]):
    check_error(line, message, capsys)


def test_an_rl_problem_is_trained_on_by_its_preset(tmp_path: Path, capsys):
    line = (
        f"train-rl --env GPICL-Bandit-v0 --env-kwargs n_arms=2 length=5 --batch-size 8 --steps 2 --out {tmp_path}/run"
    )
    main(line.split())
    output = capsys.readouterr().out
    assert (
        "2 steps in " in output and "gpicl evaluate-rl --env GPICL-Bandit-v0 --env-kwargs n_arms=2 length=5" in output
    )
    learner = load_learner(tmp_path / "run")
    assert (learner.n_features, learner.n_classes, learner.width) == (3, 2, 64)
    assert learner.value_head and not learner.normalize_inputs


def test_every_option_of_problems_made_of_an_environment_is_one_of_the_command():
    assert {one.name for one in fields(WrappedProblems)} == {"env", "env_kwargs", *WRAPPING}


@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1"])
def test_any_environment_is_trained_on_resumed_and_diagnosed(env: str, tmp_path: Path, capsys):
    """By the preset for any environment; on projections, so that the same policy can be put on another environment."""
    run = tmp_path / "run"
    line = (
        f"train-rl --env {env} --env-kwargs max_episode_steps=4 --trials 2 --project 5 --n-actions 3 --n-projections 2 "
        f"--learner-kwargs width=8 --batch-size 4 --evaluate-problems 4 --out {run} --steps"
    )
    main([*line.split(), "1"])
    assert f"Evaluate: gpicl diagnose {run}" in capsys.readouterr().out
    check_error(f"{line} 2 --resume --n-projections 3", "n_projections=2, now 3", capsys)
    main([*line.split(), "2", "--resume"])
    config = read_config(find_checkpoint(run))
    assert config["step"] == 2 and config["training"]["config"]["minibatches"] == 8
    problem = config["training"]["problem"]
    assert (problem["env"], problem["env_kwargs"], problem["project"]) == (env, {"max_episode_steps": 4}, 5)
    learner = load_learner(run)
    assert (learner.n_features, learner.n_classes) == (7, 3) and learner.continuous_actions is (env == "Pendulum-v1")
    capsys.readouterr()
    main(f"diagnose {run} --episodes 6".split())
    printed = capsys.readouterr().out
    assert (
        f"gated-deltanet on 2 projections of {env}: " in printed
        and "seen-task: " in printed
        and "unseen-task: " in printed
    )
    other = {"CartPole-v1": "Acrobot-v1", "Pendulum-v1": "MountainCarContinuous-v0"}[env]
    main(f"diagnose {run} --episodes 6 --env {other} --env-kwargs max_episode_steps=3".split())
    assert f"gated-deltanet on endless projections of {other}: " in capsys.readouterr().out
    refused = {"CartPole-v1": "Pendulum-v1", "Pendulum-v1": "CartPole-v1"}[env]
    check_error(f"diagnose {run} --episodes 6 --env {refused}", f"but {refused} needs ", capsys)
