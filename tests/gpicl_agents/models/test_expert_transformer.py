from pathlib import Path

import pytest
import torch
from model_checks import perturbed

from gpicl_agents.models.expert_transformer import ExpertTransformer
from gpicl_agents.training.checkpoint import load_learner, save_checkpoint
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.classification import TaskDistribution

SMALL = {"width": 16, "n_layers": 1, "n_heads": 2, "input_rank": 8, "kernel_heads": 2, "mlp_width": 32}


def made(**arguments) -> ExpertTransformer:
    return perturbed(ExpertTransformer(20, 4, **(SMALL | arguments)))


@pytest.mark.parametrize("experts", [("lda",), ("label-propagation,alpha=0.5", "knn")], ids=str)
def test_with_any_experts_it_passes_the_check(experts: tuple[str, ...]):
    check_learner(made(experts=experts), length=12)


def test_real_values_are_mixed_as_they_are():
    check_learner(perturbed(ExpertTransformer(8, 1, **SMALL, experts=("ridge",))), length=12)


def test_an_expert_that_is_trusted_alone_decides():
    """With all the prior on one expert, and a Transformer that is silent at first, the answers are the expert's."""
    tasks = TaskDistribution("Digits", length=40, n_features=784)
    episodes, learner = tasks.sample(16), ExpertTransformer(experts=("lda", "centroid"))
    for place, name in ((-2, "lda"), (-1, "centroid")):
        learner.log_prior.data.zero_()[place] = 1e4
        expected = make_learner(name).predict(episodes.x, episodes.y).argmax(2)
        found = learner.predict(episodes.x, episodes.y).argmax(2)
        assert torch.equal(found[:, 1:], expected[:, 1:])


def test_a_checkpoint_keeps_its_experts(tmp_path: Path):
    learner = made(experts=("centroid", "knn,k=3"))
    again = load_learner(save_checkpoint(tmp_path / "kept", learner, {"step": 1}, {}))
    x, y = torch.randn(2, 9, 20), torch.randint(4, (2, 9))
    assert again.experts == ("centroid", "knn,k=3")
    assert torch.equal(learner.eval().predict(x, y), again.predict(x, y))


@pytest.mark.parametrize("expert", ["os:system", "./folder", "json:loads,k=1", "sklearn:SVC", "nobody"])
def test_only_registered_learners_are_experts(expert: str):
    """A checkpoint names its experts: it must not name code to be run."""
    with pytest.raises(ValueError, match="expert"):
        made(experts=(expert,))


def test_one_expert_may_be_given_as_text():
    assert make_learner("expert-transformer,experts=lda").experts == ("lda",)
    with pytest.raises(ValueError, match="Unknown expert 'os:system'"):
        made(experts="os:system")


def test_no_experts_are_refused():
    with pytest.raises(ValueError, match="leaves no expert: give at least one, or the multi-kernel-transformer"):
        made(experts=())


def test_an_expert_with_parameters_is_refused():
    with pytest.raises(ValueError, match=r"are to have no parameters, but \['gru'\] have"):
        made(experts=("gru",))
