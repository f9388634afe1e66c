import pytest

from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.evaluation.protocol import SEEN_TASK, UNSEEN_DATASET, UNSEEN_TASK, find_protocol
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


TRAINING, TEST = TaskDistribution("Digits"), TaskDistribution("Digits", split="test")


@pytest.mark.parametrize(
    ("given", "tasks", "expected"),
    [
        (None, TRAINING, SEEN_TASK),
        (None, TEST, UNSEEN_TASK),
        (None, TaskDistribution("Digits", n_tasks=4, split="test"), SEEN_TASK),
        (UNSEEN_DATASET, TEST, UNSEEN_DATASET),
        (SEEN_TASK, TEST, SEEN_TASK),
    ],
)
def test_a_protocol_is_found_for_tasks(given: str | None, tasks: TaskDistribution, expected: str):
    assert find_protocol(given, tasks) == expected


@pytest.mark.parametrize(
    ("given", "tasks", "message"),
    [
        (
            "seen",
            TEST,
            "Unknown protocol 'seen'.* Valid: seen-task, unseen-dataset, unseen-task",
        ),
        (UNSEEN_DATASET, TaskDistribution("Digits", n_tasks=4), "needs new tasks, but n_tasks=4"),
        (UNSEEN_DATASET, TRAINING, "with split='test', or give protocol='seen-task'"),
    ],
)
def test_a_protocol_that_tasks_contradict_is_refused(given: str, tasks: TaskDistribution, message: str):
    with pytest.raises(ValueError, match=message):
        find_protocol(given, tasks)
