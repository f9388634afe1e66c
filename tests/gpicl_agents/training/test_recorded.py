from pathlib import Path

import pytest

from gpicl_agents.models.lstm import LSTM
from gpicl_agents.training.checkpoint import save_checkpoint
from gpicl_agents.training.recorded import recorded_kwargs, recorded_problems, recorded_wrapping
from gpicl_envs.rl.wrapped_problems import WrappedProblems


def test_what_a_checkpoint_records_makes_its_tasks(tmp_path: Path):
    problem = {"dataset": "Digits", "length": 7, "batch_size": 3, "learner's width": 8}
    save_checkpoint(tmp_path, LSTM(6, 3, width=8, input_rank=4), {"step": 1}, {"problem": problem})
    assert recorded_kwargs(tmp_path) == {"dataset": "Digits", "length": 7}
    assert recorded_kwargs(tmp_path, length=9, n_tasks=2) == {"dataset": "Digits", "length": 9, "n_tasks": 2}
    with pytest.raises(ValueError, match=r"config\.json, training\.problem: .*length=-1"):
        recorded_kwargs(tmp_path, length=-1)


def test_what_a_checkpoint_records_makes_its_rl_problems(tmp_path: Path):
    def record(**problem: object) -> Path:
        return save_checkpoint(tmp_path, LSTM(6, 3, width=8, input_rank=4), {"step": 1}, {"problem": problem})

    made = recorded_problems(record(env="GPICL-Bandit-v0", n_arms=3, length=7, batch_size=4, seed=1), n_tasks=2)
    assert made.arguments == {"n_arms": 3, "length": 7, "n_tasks": 2, "split": "train", "task_seed": 0}
    with pytest.raises(ValueError, match=r"config\.json, training\.problem: .*n_arms=0"):
        recorded_problems(record(env="GPICL-Bandit-v0", n_arms=0))
    with pytest.raises(ValueError, match=r"trained on 'Trials\(Maze\)', whose problems cannot be made again"):
        recorded_problems(record(env="Trials(Maze)", n_features=3, n_actions=2))
    assert recorded_problems(record(dataset="Digits")) is None


def test_what_a_checkpoint_records_makes_problems_of_an_environment_again(tmp_path: Path):
    def record(**problem: object) -> Path:
        return save_checkpoint(tmp_path, LSTM(6, 3, width=8, input_rank=4), {"step": 1}, {"problem": problem})

    made = WrappedProblems(
        "CartPole-v1", trials=3, project=4, n_actions=3, n_projections=5, env_kwargs={"max_episode_steps": 9}
    )
    folder = record(**made.arguments, batch_size=4, seed=1)
    assert recorded_wrapping(folder) == made
    changed = recorded_wrapping(folder, max_episode_steps=7, sutton_barto_reward=True)
    assert changed.env_kwargs == {"max_episode_steps": 7, "sutton_barto_reward": True}
    assert recorded_wrapping(folder, "CartPole-v1", max_episode_steps=8).env_kwargs == {"max_episode_steps": 8}
    assert recorded_wrapping(folder, "CartPole-v1") == made
    other = recorded_wrapping(folder, "Acrobot-v1")
    assert other.n_projections is None  # none of its projections was trained on
    assert (other.env, other.trials, other.project, other.env_kwargs) == ("Acrobot-v1", 3, 4, {})
    own = recorded_wrapping(folder, "GPICL-TabularMDP-v0", n_episodes=5)
    assert (own.trials, own.n_episodes, own.project) == (None, 5, 4)
    with pytest.raises(ValueError, match=r"config\.json, training\.problem: trials=0 is not allowed"):
        recorded_wrapping(record(**made.arguments | {"trials": 0}))
    assert recorded_wrapping(record(env="GPICL-Bandit-v0", n_arms=3)) is None
