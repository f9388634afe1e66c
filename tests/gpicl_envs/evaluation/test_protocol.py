import pytest

from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.classification import TaskDistribution


def test_new_tasks_are_not_those_of_meta_training():
    with pytest.raises(ValueError, match="needs new tasks, but n_tasks=4"):
        evaluate(make_learner("knn"), TaskDistribution("Digits", n_tasks=4), protocol="unseen-task")


def test_the_protocol_follows_from_the_tasks_and_one_that_does_not_fit_them_is_refused():
    learner, train, test = make_learner("uniform"), TaskDistribution("MNIST"), TaskDistribution("MNIST", split="test")
    assert evaluate(learner, train, episodes=2).protocol == "seen-task"
    assert evaluate(learner, TaskDistribution("MNIST", n_tasks=4), episodes=2).protocol == "seen-task"
    assert evaluate(learner, test, episodes=2).protocol == "unseen-task"
    assert evaluate(learner, test, episodes=2, protocol="unseen-dataset").protocol == "unseen-dataset"
    with pytest.raises(ValueError, match="meta-training never shows, but these tasks show its own"):
        evaluate(learner, train, episodes=2, protocol="unseen-task")
