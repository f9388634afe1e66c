import multiprocessing

import pytest
import torch
from small_training import weights

from gpicl_agents.training.config import TrainConfig
from gpicl_agents.training.presets import PRESETS
from gpicl_agents.training.run_setup import set_up
from gpicl_agents.training.supervised import train
from gpicl_envs import make_learner

AGENT = """
import torch
from gpicl_envs import Learner

class Bias(Learner, torch.nn.Module):
    def __init__(self, n_features=784, n_classes=10):
        super().__init__(n_features, n_classes)
        self.bias = torch.nn.Parameter(torch.randn(n_classes))
    def predict(self, x, y):
        return self.bias.expand(*y.shape, self.n_classes)
"""
SMALL = {"env": "GPICL-Digits-v0", "env_kwargs": {"n_features": 40, "length": 6, "n_classes": 3}}


def test_processes_of_an_environment_end_where_a_learner_is_refused():
    env_kwargs = {"vectorization_mode": "async", "max_episode_steps": 5}
    with pytest.raises(ValueError, match="width=-1 is not allowed") as refusal:
        set_up("gru,width=-1", batch_size=2, env="CartPole-v1", env_kwargs=env_kwargs, wrapping={"trials": 2})
    assert not multiprocessing.active_children(), refusal.traceback  # which would keep them


def test_processes_of_an_environment_end_where_a_learner_fails_to_be_made(tmp_path, monkeypatch):
    (tmp_path / "my_failure.py").write_text("def Broken():\n    raise RuntimeError('no such file')\n")
    monkeypatch.syspath_prepend(tmp_path)
    env_kwargs = {"vectorization_mode": "async", "max_episode_steps": 5}
    with pytest.raises(RuntimeError, match="no such file") as failure:
        set_up("my_failure:Broken", batch_size=2, env="CartPole-v1", env_kwargs=env_kwargs, wrapping={"trials": 2})
    assert not multiprocessing.active_children(), failure.traceback


def test_processes_of_an_environment_end_where_a_wrapper_refuses_it():
    env_kwargs = {"vectorization_mode": "async", "max_episode_steps": 5}
    wrapping = {"trials": 2, "project": 8, "n_actions": 1}
    with pytest.raises(ValueError, match="n_actions=1") as refusal:
        set_up("gru", batch_size=2, env="CartPole-v1", env_kwargs=env_kwargs, wrapping=wrapping)
    assert not multiprocessing.active_children(), refusal.traceback  # which would keep them


def test_the_learner_fits_the_environment_and_can_be_trained_on_it():
    learner, venv = set_up("gru,width=8", batch_size=3, learner_kwargs={"input_rank": 5}, seed=7, **SMALL)
    assert (learner.n_features, learner.n_classes, learner.width, learner.input_rank, learner.seed) == (40, 3, 8, 5, 7)
    assert venv.num_envs == 3 and venv.unwrapped.tasks.length == 6
    assert train(learner, venv, TrainConfig(steps=1, evaluate_every=0)).step == 1


def test_a_preset_makes_the_learner_that_its_arguments_make():
    preset = PRESETS["tiny"]
    learner, _ = set_up(preset.spec, batch_size=2, seed=3, **SMALL)
    other = make_learner(preset.learner, n_features=40, n_classes=3, **preset.learner_kwargs, seed=3)
    assert learner.get_params() == other.get_params()
    assert all(torch.equal(a, b) for a, b in zip(learner.parameters(), other.parameters(), strict=True))


def test_the_seed_reaches_a_learner_that_takes_none_and_the_global_stream_is_left_alone(tmp_path, monkeypatch):
    (tmp_path / "my_bias.py").write_text(AGENT)
    monkeypatch.syspath_prepend(tmp_path)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    a, b, c = (set_up("my_bias:Bias", batch_size=2, seed=seed, **SMALL)[0].bias for seed in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c) and torch.rand(1) == expected


def test_a_learner_that_cannot_be_made_for_the_environment_is_named_with_its_sizes():
    message = r"Learner 'transformer,.*input_rank=64.*' with n_features=40 and n_classes=3: input_rank=64 is not"
    with pytest.raises(ValueError, match=message):
        set_up(PRESETS["fast"].spec, batch_size=2, **SMALL)


def test_a_learner_of_functions_knows_the_size_of_their_values():
    kwargs = {"n_features": 9, "noise": 3.0}
    learner, venv = set_up("gru,width=8", batch_size=2, env="GPICL-LinearRegression-v0", env_kwargs=kwargs)
    assert (learner.n_classes, learner.value_scale) == (1, 3.0) and venv.unwrapped.tasks.is_regression
    given, _ = set_up("gru,width=8,value_scale=2.0", batch_size=2, env="GPICL-LinearRegression-v0")
    assert given.value_scale == 2.0


def test_a_learner_from_rewards_does_not_predict_values():
    with pytest.raises(ValueError, match="RL2 only classifies, but n_classes=1 stands for real values"):
        set_up("rl2", batch_size=2, env="GPICL-DecisionTree-v0")


def test_arguments_in_the_text_count_unless_others_replace_them():
    in_text, _ = set_up("gru,width=8,input_rank=4", batch_size=1, **SMALL)
    replaced, _ = set_up("gru,width=16,input_rank=4", batch_size=1, learner_kwargs={"width": 8}, **SMALL)
    wider, _ = set_up("gru,width=16,input_rank=4", batch_size=1, **SMALL)
    assert in_text.n_parameters == replaced.n_parameters < wider.n_parameters


def test_the_seed_decides_the_weights():
    a, b, c = (weights(set_up("gru,width=8", batch_size=1, seed=seed, **SMALL)[0]) for seed in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_each_process_has_its_fraction_of_the_batch(monkeypatch: pytest.MonkeyPatch):
    target = "gpicl_agents.training.run_setup.Processes.local_batch_size"
    monkeypatch.setattr(target, lambda self, batch_size: batch_size // 2)
    assert set_up("gru,width=8", batch_size=6, **SMALL)[1].num_envs == 3


@pytest.mark.parametrize(
    ("learner", "arguments", "message"),
    [
        ("gruu", SMALL, "Unknown learner 'gruu'. Did you mean 'gru'"),
        ("gru,width=0", SMALL, "Learner 'gru,width=0' with n_features=40 .*width=0"),
        ("gru", {"env": "GPICL-Digit-v0"}, "GPICL-Digit-v0"),
        (
            "gru",
            SMALL | {"env_kwargs": {"num_envs": 4}},
            r"env_kwargs has num_envs, which is given by batch_size \(--batch-size\)",
        ),
        ("gru", {"env": "GPICL-Bandit-v0", "env_kwargs": {"device": "cuda"}}, "env_kwargs has device"),
    ],
)
def test_unknown_names_and_values_are_refused(learner: str, arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        set_up(learner, batch_size=2, **arguments)


def test_a_policy_fits_problems_made_of_any_environment():
    wrapping = {"trials": 2, "project": 6, "n_actions": 4}
    learner, venv = set_up("gru,width=8", batch_size=3, env="Pendulum-v1", env_kwargs={"g": 9.0}, wrapping=wrapping)
    assert (learner.n_features, learner.n_classes, learner.continuous_actions) == (8, 4, True) and learner.value_head
    made = venv.description
    assert (made.env, made.trials, made.env_kwargs, venv.num_envs) == ("Pendulum-v1", 2, {"g": 9.0}, 3)
    learner, _ = set_up("gru,width=8", batch_size=3, env="CartPole-v1", wrapping={"trials": 2})
    assert (learner.n_features, learner.n_classes, learner.continuous_actions) == (6, 2, False)
    learner, venv = set_up("gru,width=8", batch_size=3, env="GPICL-Bandit-v0", wrapping={"project": 3, "n_actions": 9})
    assert (learner.n_features, learner.n_classes) == (5, 9) and venv.description.n_episodes == 100


def test_a_policy_fits_an_rl_problem():
    learner, venv = set_up("gru,width=8,value_head=False", batch_size=3, seed=7, env="GPICL-Bandit-v0")
    assert (learner.n_features, learner.n_classes, learner.seed) == (3, 5, 7) and not learner.normalize_inputs
    assert not learner.value_head and venv.num_envs == 3
