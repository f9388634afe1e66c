"""The first word names a preset, for both commands that train."""

from pathlib import Path

import pytest

from gpicl_agents.commands.preset_options import default_folder
from gpicl_agents.commands.train import parse_options as parse_train
from gpicl_agents.commands.train_rl import parse_options as parse_train_rl
from gpicl_agents.training.presets import PRESETS, REWARD_PRESETS
from gpicl_envs.commands.arguments import Words

BOTH = [(parse_train, PRESETS), (parse_train_rl, REWARD_PRESETS)]


@pytest.mark.parametrize(("parse", "presets"), BOTH, ids=["train", "train-rl"])
def test_a_word_chooses_the_defaults_and_options_change_them(parse, presets):
    for name, preset in presets.items():
        found, options = parse(Words([name, "--steps", "7", "--batch-size", "3"]))
        assert found == name and options.learner == preset.spec and options.env == preset.env
        assert vars(options.config) == vars(preset.config) | {"steps": 7} and options.batch_size == 3
        assert type(options.config) is type(preset.config)


@pytest.mark.parametrize(("parse", "presets"), BOTH, ids=["train", "train-rl"])
def test_an_unknown_word_lists_the_presets(parse, presets):
    with pytest.raises(ValueError, match=f"Unknown preset 'sleepy'.*Valid: .*{sorted(presets)[0]}"):
        parse(Words(["sleepy"]))


def test_without_a_word_the_environment_chooses():
    assert parse_train_rl(Words())[0] == "rewards"
    for name, preset in REWARD_PRESETS.items():
        if name != "rewards":
            assert parse_train_rl(Words(["--steps", "3", f"--env={preset.env}"]))[0] == name
            assert parse_train_rl(Words(["--env", preset.env]))[0] == name


def test_the_folder_is_named_after_the_preset_or_the_learner():
    spec = REWARD_PRESETS["bandit"].spec
    assert default_folder("bandit", spec, REWARD_PRESETS) == Path("runs/bandit")
    assert default_folder("bandit", "lstm,width=3", REWARD_PRESETS) == Path("runs/lstm")
