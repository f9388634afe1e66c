import copy
from pathlib import Path

import pytest
import torch
from small_tasks import make_vec
from small_training import QUICK, small_env, small_learner

from gpicl_agents import train
from gpicl_agents.training.checkpoint import save_checkpoint
from gpicl_envs import TaskDistribution, check_learner, evaluate, make_learner
from gpicl_envs.learners.ensemble import Ensemble
from gpicl_envs.learners.registry import LearnerSpec

TEXT = "ensemble:(knn,k=3)+ridge+centroid"


def test_it_predicts_the_mean_of_the_probabilities_and_passes_its_check():
    episodes = make_vec(num_envs=3, length=12, n_features=16).unwrapped.sample_episodes(0)
    tasks = TaskDistribution("Digits", n_features=16, length=12)
    learner = make_learner(TEXT, tasks=tasks)
    members = [make_learner(text, tasks=tasks) for text in ("knn,k=3", "ridge", "centroid")]
    expected = sum(each.predict(episodes.x, episodes.y).softmax(-1) for each in members) / 3
    assert torch.allclose(learner.predict(episodes.x, episodes.y).exp(), expected, atol=1e-6)
    assert learner.name == "ensemble(3-nn-cosine, ridge, centroid)"
    assert learner.state_size(5) == sum(each.state_size(5) for each in members) and learner.n_parameters == 0
    queries = torch.randn(3, 4, 16)
    answers = learner.predict_queries(episodes.x, episodes.y, queries)
    longer = torch.cat([episodes.x, queries[:, 2:3]], 1), torch.cat([episodes.y, episodes.y[:, :1]], 1)
    assert torch.allclose(answers[:, 2], learner.predict(*longer)[:, -1], atol=1e-4)
    check_learner(learner, length=12)


def test_with_a_learning_rate_members_that_were_wrong_weigh_less():
    tasks = TaskDistribution("Digits", n_features=16, length=30)
    episodes = tasks.sample(4, seed=0)
    weighted = make_learner("ensemble:(knn,k=3)+ridge+centroid,learning_rate=0.5", tasks=tasks)
    members = [make_learner(text, tasks=tasks) for text in ("knn,k=3", "ridge", "centroid")]
    probabilities = torch.stack([each.predict(episodes.x, episodes.y).softmax(-1) for each in members])
    for n in (0, 1, 29):
        wrong = (probabilities[:, :, :n].argmax(-1) != episodes.y[:, :n]).sum(-1)
        weights = torch.exp(-0.5 * wrong)
        expected = torch.einsum("mb,mbk->bk", weights / weights.sum(0), probabilities[:, :, n])
        assert torch.allclose(weighted.predict(episodes.x, episodes.y)[:, n].exp(), expected, atol=1e-5)
    queries = torch.randn(4, 2, 16)
    longer = torch.cat([episodes.x, queries[:, 1:]], 1), torch.cat([episodes.y, episodes.y[:, :1]], 1)
    answers = weighted.predict_queries(episodes.x, episodes.y, queries)
    assert torch.allclose(answers[:, 1], weighted.predict(*longer)[:, -1], atol=1e-4)
    assert weighted.name == "ensemble(3-nn-cosine, ridge, centroid, learning_rate=0.5)"
    assert weighted.state_size(5) == make_learner(TEXT, tasks=tasks).state_size(5) + 3 * (1 + 10)
    check_learner(weighted, length=12)
    assert evaluate(weighted, tasks, episodes=64).scores.shape == (64, 30)


def test_an_ensemble_may_be_a_member():
    learner = make_learner("ensemble:knn+(ensemble:ridge+(knn,k=3))")
    assert learner.name == "ensemble(1-nn-cosine, ensemble(ridge, 3-nn-cosine))"


def test_values_are_averaged():
    learner = make_learner("ensemble:knn+ridge", n_features=4, n_classes=1)
    x, y = torch.randn(2, 9, 4), torch.randn(2, 9)
    members = [make_learner(name, n_features=4, n_classes=1).predict(x, y) for name in ("knn", "ridge")]
    assert torch.allclose(learner.predict(x, y), (members[0] + members[1]) / 2)
    check_learner(learner, length=9)


def test_members_may_be_meta_trained_and_their_weights_are_part_of_its_fingerprint(tmp_path: Path):
    run = tmp_path / "a+b"  # a name with a + stands in brackets
    train(small_learner(), small_env(), QUICK, folder=run)
    text = f"ensemble:({run})+lstm+knn"
    learner = make_learner(text, n_features=32)
    assert isinstance(learner, Ensemble) and learner.n_parameters == sum(m.n_parameters for m in learner.members) > 0
    assert evaluate(learner, TaskDistribution("Digits", n_features=32, length=8), episodes=32).scores.shape == (32, 8)
    before = LearnerSpec.parse(text).fingerprint(learner)
    assert LearnerSpec.parse(text).fingerprint(copy.deepcopy(learner)) == before
    with torch.no_grad():
        next(iter(learner.members[0].parameters())).add_(1)
    assert LearnerSpec.parse(text).fingerprint(learner) != before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ensemble:knn", "at least two members, not 1: give ensemble:knn.ridge"),
        ("ensemble:knn+rigde", "Unknown learner 'rigde'. Did you mean 'ridge'"),
        ("ensemble:knn+", "has a member without a name"),
        ("ensemble:knn+(ridge", "brackets that do not match"),
        ("ensemble:(knn,k=3+ridge", "brackets that do not match"),
        ("ensemble:knn,k=3+ridge", r"no argument 'k', its own is learning_rate: .* ensemble:\(knn,k=3\)\+ridge"),
        ("ensemble:pretrained:gpicl-small+pretrained:gpicl-linear", "must take the same D and K, but these differ: "),
        ("ensemble:knn+ridge,k=3", "no argument 'k'"),
        ("ensemble:knn+oracle", "the oracle, which knows the hidden tasks, is none"),
        ("ensemble:knn+ridge,learning_rate=-1", "learning_rate=-1 is not allowed"),
        ("ensemble:knn+ridge,n_classes=1,learning_rate=0.4", "values have none: leave it 0"),
    ],
)
def test_bad_input_is_refused(text: str, message: str):
    with pytest.raises(ValueError, match=message):
        make_learner(text)


def test_evaluation_leaves_the_mode_of_each_member(tmp_path: Path):
    """Loaded members are in evaluation mode, though the ensemble itself never was put there."""
    save_checkpoint(tmp_path / "run", small_learner(n_projections=4), {"step": 1}, {})
    tasks = TaskDistribution("Digits", n_features=32, length=6, split="test")
    ensemble = make_learner(f"ensemble:{tmp_path / 'run'}+knn", tasks=tasks)
    shown = tasks.sample(3)
    before = ensemble.predict(shown.x, shown.y)
    evaluate(ensemble, tasks, episodes=4)
    assert not ensemble.members[0].training and torch.equal(ensemble.predict(shown.x, shown.y), before)
