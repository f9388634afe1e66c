"""Every rogue of the gallery, evaluated between honest neighbours, whose scores it must not change."""

import os
import sys

import numpy as np
import pytest
import torch
from rogue_gallery import DEEDS, OF_PROCESS, Drawn, Rogue

from gpicl_envs.evaluation.evaluate import evaluate, evaluate_all
from gpicl_envs.learners.calls import SETTINGS, LearnerCheckError
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.classification import TaskDistribution

REFUSED = "changed its arguments in place|Not causal|returned|no such weight|enough"


def honest():
    torch.manual_seed(0), np.random.seed(0)
    return [make_learner("knn"), Drawn(), make_learner("gru", width=8, input_rank=16)]


@pytest.fixture(scope="module")
def tasks() -> TaskDistribution:
    return TaskDistribution("Digits", split="test", length=30)


def same(curves, others) -> bool:
    return all(
        np.array_equal(one.scores, other.scores) and np.array_equal(one.likelihood.nll, other.likelihood.nll)
        for one, other in zip(curves, others, strict=True)
    )


@pytest.fixture(scope="module")
def alone(tasks: TaskDistribution):
    return honest_scores(tasks)


def honest_scores(tasks: TaskDistribution):
    return evaluate_all(honest(), tasks, episodes=12, batch_size=4)


def test_the_gallery_has_forty_rogues_and_more():
    assert len(DEEDS) >= 55 and len(DEEDS.keys() - OF_PROCESS) >= 40


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("deed", sorted(DEEDS.keys() - OF_PROCESS))
def test_a_rogue_changes_no_score_of_its_neighbours(tasks: TaskDistribution, alone, deed: str):
    """Either it is refused, by name, or all others score what they score without it, before and behind it."""
    before = [setting.get() for setting in SETTINGS]
    knn, drawn, gru = honest()
    try:
        first, _, *others = evaluate_all([knn, Rogue(deed=deed), drawn, gru], tasks, episodes=12, batch_size=4)
        assert same([first, *others], alone)
    except (LearnerCheckError, KeyError, RuntimeError) as error:
        assert any(word in str(error) for word in REFUSED.split("|"))
    assert [setting.get() for setting in SETTINGS] == before
    assert same(honest_scores(tasks), alone)


ARGUMENTS = [name for name in DEEDS if any(word in name for word in ("labels", "inputs")) and "later" not in name]


@pytest.mark.parametrize("deed", [name for name in ARGUMENTS if name not in OF_PROCESS])
def test_a_learner_that_changes_its_arguments_is_refused_by_evaluation_and_check(tasks: TaskDistribution, deed: str):
    with pytest.raises(LearnerCheckError, match="Rogue.predict.*changed its arguments in place: compute new tensors"):
        evaluate(Rogue(deed=deed), tasks, episodes=12)
    with pytest.raises(LearnerCheckError, match="changed its arguments in place"):
        check_learner(Rogue(deed=deed, always=True))


def test_folder_and_output_are_those_of_the_test(tasks: TaskDistribution):
    folder, output = os.getcwd(), sys.stdout
    evaluate_all([Rogue(deed="changes_the_folder"), Rogue(deed="takes_the_output_away")], tasks, episodes=4)
    assert os.getcwd() == folder and sys.stdout is output


def test_a_learner_draws_the_same_whoever_is_evaluated_with_it(tasks: TaskDistribution):
    torch.manual_seed(0), np.random.seed(0)
    alone = evaluate(Drawn(), tasks, episodes=12, batch_size=4)
    torch.manual_seed(0), np.random.seed(0)
    twice = evaluate_all([Drawn(), make_learner("uniform"), Drawn()], tasks, episodes=12, batch_size=4)
    assert same([twice[0], twice[2]], [alone, alone])
    assert len(np.unique(alone.likelihood.nll[:4])) > 100
