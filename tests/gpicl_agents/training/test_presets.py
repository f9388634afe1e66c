import pytest

from gpicl_agents.training.presets import PRESETS, REWARD_PRESETS, find_preset
from gpicl_agents.training.run_setup import set_up
from gpicl_envs.learners.registry import LearnerSpec, make_learner
from gpicl_envs.registration import find_environment
from gpicl_envs.tasks import make_tasks


@pytest.mark.parametrize("name", PRESETS)
def test_presets_make_learners_that_run(name: str):
    preset = find_preset(name)
    tasks = make_tasks(**find_environment(preset.env).arguments, length=5)
    learner = make_learner(preset.learner, tasks=tasks, **preset.learner_kwargs)
    episodes = tasks.sample(1)
    assert learner.predict(episodes.x, episodes.y).shape == (1, 5, tasks.n_classes)


@pytest.mark.parametrize("name", PRESETS)
def test_the_text_of_a_preset_s_learner_makes_the_same_learner(name: str):
    preset = find_preset(name)
    spec = LearnerSpec.parse(preset.spec)
    assert (spec.name, spec.kwargs) == (preset.learner, preset.learner_kwargs)


@pytest.mark.parametrize("name", REWARD_PRESETS)
def test_presets_of_training_from_rewards_make_policies_for_their_environments(name: str):
    preset = find_preset(name, REWARD_PRESETS)
    learner, venv = set_up(preset.spec, batch_size=2, env=preset.env, wrapping=preset.wrapping)
    assert learner.value_head is (name != "rewards") and venv.num_envs == 2


def test_an_unknown_preset_lists_the_valid_ones():
    with pytest.raises(ValueError, match=r"Unknown preset 'kernal'. Did you mean 'kernel'\? Valid: .*tiny.*--learner"):
        find_preset("kernal")
