import pytest

from gpicl_agents.training.presets import PRESETS, find_preset
from gpicl_envs.learners.registry import LearnerSpec, make_learner
from gpicl_envs.tasks.classification import TaskDistribution


@pytest.mark.parametrize("name", PRESETS)
def test_presets_make_learners_that_run(name: str):
    preset = find_preset(name)
    learner = make_learner(preset.learner, **preset.learner_kwargs)
    episodes = TaskDistribution("Digits", length=5).sample(1)
    assert learner.predict(episodes.x, episodes.y).shape == (1, 5, 10)


@pytest.mark.parametrize("name", PRESETS)
def test_the_text_of_a_preset_s_learner_makes_the_same_learner(name: str):
    preset = find_preset(name)
    spec = LearnerSpec.parse(preset.spec)
    assert (spec.name, spec.kwargs) == (preset.learner, preset.learner_kwargs)


def test_an_unknown_preset_lists_the_valid_ones():
    with pytest.raises(ValueError, match=r"Unknown preset 'kernal'. Did you mean 'kernel'\? Valid: .*tiny.*--learner"):
        find_preset("kernal")
