import pytest
import torch
from small_training import weights

from gpicl_agents.models.gru import GRU
from gpicl_agents.training.setup import set_up

DIGITS = {"env": "GPICL-Digits-v0", "env_kwargs": {"n_features": 12, "n_classes": 3, "length": 5}}
SMALL = {"width": 8, "input_rank": 4}


def test_the_learner_and_the_environment_fit_each_other():
    learner, venv = set_up("gru", batch_size=6, learner_kwargs=SMALL, **DIGITS)
    assert isinstance(learner, GRU) and (learner.n_features, learner.n_classes) == (12, 3)
    tasks = venv.unwrapped.tasks
    assert venv.num_envs == 6 and (tasks.n_features, tasks.n_classes, tasks.length) == (12, 3, 5)
    assert tasks.split == "train" and tasks.arguments["dataset"] == "Digits"
    episodes = tasks.sample(2)
    assert learner.predict(episodes.x, episodes.y).shape == (2, 5, 3)


def test_arguments_in_the_text_count_unless_others_replace_them():
    in_text, _ = set_up("gru,width=8,input_rank=4", batch_size=1, **DIGITS)
    replaced, _ = set_up("gru,width=16,input_rank=4", batch_size=1, learner_kwargs={"width": 8}, **DIGITS)
    assert in_text.n_parameters == replaced.n_parameters
    wider, _ = set_up("gru,width=16,input_rank=4", batch_size=1, **DIGITS)
    assert wider.n_parameters > in_text.n_parameters


def test_the_seed_decides_the_weights_and_the_global_stream_stays_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    a, b, c = (weights(set_up("gru", batch_size=1, learner_kwargs=SMALL, seed=s, **DIGITS)[0]) for s in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_each_process_has_its_fraction_of_the_batch(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        "gpicl_agents.training.setup.Processes.local_batch_size", lambda self, batch_size: batch_size // 2
    )
    assert set_up("gru", batch_size=6, learner_kwargs=SMALL, **DIGITS)[1].num_envs == 3


@pytest.mark.parametrize(
    ("learner", "arguments", "message"),
    [
        (
            "gruu",
            DIGITS,
            "Learner 'gruu' with n_features=12 and n_classes=3: Unknown learner 'gruu'. Did you mean 'gru'",
        ),
        ("gru", DIGITS | {"learner_kwargs": {"width": 0}}, "Learner 'gru' with n_features=12 .*width=0"),
        ("gru", {"env": "GPICL-LinearRegression-v0"}, "is regression"),
        ("gru", {"env": "GPICL-Digit-v0"}, "GPICL-Digit-v0"),
    ],
)
def test_bad_input_is_refused(learner: str, arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        set_up(learner, batch_size=2, **arguments)
