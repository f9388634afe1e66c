import pytest

from gpicl_agents.evaluations import seen_tasks, unseen_tasks
from gpicl_agents.experiments.engine.settings import SETTINGS, Setting
from gpicl_agents.models.transformer import Transformer
from gpicl_agents.training.config import TrainConfig
from gpicl_envs.tasks import make_tasks

SETTING = Setting({"dataset": "Digits", "length": 5}, {"width": 8}, {"steps": 3, "eps": 1e-8}, 4)


def test_a_trial_has_the_setting_s_problem_transformer_and_training_and_its_own_seed():
    trial = SETTING.trial({"n_tasks": 2, "seed": 7}, [seen_tasks(), unseen_tasks()])
    assert (trial.axes, trial.learner, trial.batch_size) == ({"n_tasks": 2, "seed": 7}, "transformer", 4)
    assert trial.learner_kwargs == {"width": 8, "seed": 7} and trial.env_kwargs == {"dataset": "Digits", "length": 5}
    assert trial.train_kwargs == {"steps": 3, "eps": 1e-8, "seed": 7}
    assert trial.evaluations == (seen_tasks(), unseen_tasks()) and trial.references == {}
    assert SETTING.trial({"seed": 7}, [], references={"a": "ridge"}).references == {"a": "ridge"}


def test_a_trial_adds_to_the_problem_and_the_training_and_replaces_the_learner():
    trial = SETTING.trial(
        {"seed": 0},
        [],
        learner="gru",
        learner_kwargs={"input_rank": 2},
        env_kwargs={"n_tasks": 4},
        train_kwargs={"eps": 1e-4},
        batch_size=9,
    )
    assert (trial.learner, trial.learner_kwargs) == ("gru", {"input_rank": 2, "seed": 0})  # no width
    assert trial.env_kwargs == {"dataset": "Digits", "length": 5, "n_tasks": 4}
    assert trial.train_kwargs == {"steps": 3, "eps": 1e-4, "seed": 0} and trial.batch_size == 9
    again = SETTING.trial({"seed": 0}, [])
    assert (again.env_kwargs, again.train_kwargs["eps"]) == ({"dataset": "Digits", "length": 5}, 1e-8)


@pytest.mark.parametrize(("scale", "steps", "batch_size"), [("small", 500, 16), ("paper", 50_000, 512)])
def test_settings_make_tasks_a_transformer_and_a_training(scale: str, steps: int, batch_size: int):
    setting = SETTINGS[scale]
    tasks = make_tasks(**setting.env_kwargs)
    assert (tasks.n_features, tasks.length) == (setting.env_kwargs["n_features"], 100)
    assert TrainConfig(**setting.train_kwargs).steps == steps and setting.batch_size == batch_size
    assert Transformer(tasks.n_features, tasks.n_classes, **setting.transformer).n_parameters > 0
