import numpy as np
import pytest
import torch

from gpicl_envs.datasets import Dataset, load_dataset
from gpicl_envs.evaluation.evaluate import evaluate, evaluate_all
from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.calls import LearnerCheckError
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.classification import TaskDistribution
from gpicl_envs.tasks.regression import FunctionDistribution


class Constant(Learner):
    """Returns what it is given, whatever the episode."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.logits


def test_the_uniform_learner_is_at_chance_with_log_k_nats(tasks: TaskDistribution):
    curve = evaluate(make_learner("uniform"), tasks, episodes=500)
    assert curve.scores.shape == (500, 30)
    assert curve.likelihood.nll.mean() == pytest.approx(np.log(10), abs=1e-5)
    assert curve.scores.mean() == pytest.approx(0.1, abs=0.015)


def test_accuracy_and_likelihood_are_those_of_the_episodes(tasks: TaskDistribution):
    curve = evaluate(make_learner("knn"), tasks, episodes=10, seed=3)
    episodes = tasks.sample(10, seed=3)
    logits = make_learner("knn").predict(episodes.x, episodes.y)
    assert np.array_equal(curve.scores, (logits.argmax(2) == episodes.y).numpy())
    likelihood = logits.log_softmax(2).gather(2, episodes.y[..., None])[..., 0]
    assert curve.likelihood.nll == pytest.approx(-likelihood.numpy(), abs=1e-4)


def test_the_batch_size_changes_nothing(tasks: TaskDistribution):
    a, b = (evaluate(make_learner("ridge"), tasks, episodes=25, batch_size=size) for size in (25, 4))
    assert np.array_equal(a.scores, b.scores) and a.likelihood.nll == pytest.approx(b.likelihood.nll, abs=1e-3)


def test_all_learners_see_the_same_episodes(tasks: TaskDistribution):
    together = evaluate_all([make_learner("knn"), make_learner("sgd")], tasks, episodes=20)
    alone = evaluate(make_learner("sgd"), tasks, episodes=20)
    assert np.array_equal(together[1].scores, alone.scores)


def test_the_state_counts_all_projections_also_of_a_model_in_training_mode(tasks: TaskDistribution):
    sizes = []
    for n in (1, 3):
        learner = make_learner("gru", n_features=784, width=8, input_rank=16, n_projections=n)
        assert learner.training
        sizes.append(evaluate(learner, tasks, episodes=2).state_size - 784)
    assert sizes[1] == 3 * sizes[0]


def test_the_lookup_player_of_random_is_perfect_once_an_item_was_seen():
    """1-NN on the memorisation test: right whenever the item was shown before."""
    tasks = TaskDistribution("Random", split="test", length=60)
    curve = evaluate(make_learner("knn"), tasks, episodes=50)
    index = tasks.sample(50).index.numpy()
    seen = np.array([[item in row[:n] for n, item in enumerate(row)] for row in index])
    assert curve.scores[seen].all() and seen[:, -1].mean() > 0.9


def test_no_learner_beats_the_bayes_accuracy_of_clusters():
    tasks = TaskDistribution("Clusters", split="test", length=100)
    curve = evaluate(make_learner("centroid"), tasks, episodes=300)
    bayes = load_dataset("Clusters").bayes_accuracy
    assert 0.85 < float(curve.final.mean) < bayes


def test_the_reference_player_of_mnist_reaches_its_known_score():
    """RBF kernel ridge on 99 test digits: 75 to 76 in PAPER.md's measurement, ± 2 with 256 episodes here."""
    curve = evaluate(make_learner("kernel-ridge"), TaskDistribution("MNIST", split="test"), episodes=256)
    assert 0.73 < float(curve.final.mean) < 0.79
    assert curve.scores[:, 0].mean() < 0.2


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (
            torch.zeros(2, 30, 9),
            r"Constant.predict\(x, y\) returned logits of shape \(2, 30, 9\), expected \(2, 30, 10\)",
        ),
        (torch.zeros(2, 30, 10).log(), "returned -inf at .*not finite"),
        (torch.zeros(2, 30, 10, dtype=torch.int64), "not floating-point"),
    ],
    ids=["shape", "infinite", "integer"],
)
def test_bad_logits_name_the_learner(tasks: TaskDistribution, logits: torch.Tensor, message: str):
    with pytest.raises(LearnerCheckError, match=message):
        evaluate(Constant(logits), tasks, episodes=2)


def test_a_learner_for_other_sizes_is_refused(tasks: TaskDistribution):
    with pytest.raises(ValueError, match="made for n_features=64, but the tasks have 784"):
        evaluate(make_learner("knn", n_features=64), tasks)
    with pytest.raises(ValueError, match="made for n_classes=5, but the tasks have 10"):
        evaluate(make_learner("knn", n_classes=5), tasks)


def test_modules_predict_in_evaluation_mode_and_keep_their_own(tasks: TaskDistribution):
    class Dropped(Learner, torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = torch.nn.Dropout(0.5)

        def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return self.drop(torch.ones(*y.shape, 10))

    learner = Dropped().train()
    assert evaluate(learner, tasks, episodes=4).likelihood.nll == pytest.approx(np.log(10), abs=1e-5)
    check_learner(learner)
    assert learner.training


def test_unknown_protocols_are_refused(tasks: TaskDistribution):
    with pytest.raises(ValueError, match="Unknown protocol 'unseen'.*unseen-task"):
        evaluate(make_learner("knn"), tasks, protocol="unseen")
    with pytest.raises(ValueError, match="episodes=0"):
        evaluate(make_learner("knn"), tasks, episodes=0)


class Zero(Learner):
    """Predicts the value 0."""

    predicts_values = True

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.zeros(*y.shape, 1)


def test_regression_is_scored_by_squared_error():
    tasks = FunctionDistribution("LinearRegression", length=15)
    curve = evaluate(Zero(n_features=20, n_classes=1), tasks, episodes=40, final_positions=1)
    y = tasks.sample(40).y.double().numpy()
    record = curve.record()
    assert record.metric == "squared_error" and record.nll is None and record.ece is None
    assert record.curve.mean == pytest.approx((y**2).mean(0), abs=1e-4)
    assert record.final.mean == pytest.approx((y[:, -1] ** 2).mean(), abs=1e-4)
    assert record.final_scores == pytest.approx(y[:, -1] ** 2, abs=1e-4)
    predicted = make_learner("least-squares").predict(*(getattr(tasks.sample(40), name) for name in "xy"))
    assert record.distances is not None and record.distances.keys() == {"least-squares"}
    assert record.distances["least-squares"].mean == pytest.approx(float(predicted.square().mean()), rel=1e-3)


def test_labels_have_no_distances_and_given_references_replace_the_usual_ones(tasks: TaskDistribution):
    assert evaluate(make_learner("uniform"), tasks, episodes=2).record().distances is None
    functions = FunctionDistribution(length=15)
    zero = Zero(n_features=20, n_classes=1)
    curve = evaluate(zero, functions, episodes=4, references={"nothing": zero})
    assert curve.distances.keys() == {"nothing"} and not curve.distances["nothing"].any()


def test_the_data_are_named_by_their_fingerprint(tasks: TaskDistribution):
    record = evaluate(make_learner("uniform"), tasks, episodes=2).record()
    digits = load_dataset("Digits")
    assert record.data == digits.fingerprint
    other = Dataset("Digits", {"test": digits.x["test"]}, {"test": digits.y["test"]}, n_classes=10)
    assert other.fingerprint != digits.fingerprint


@pytest.mark.parametrize(("given", "tasks"), [("knn", TaskDistribution("Digits")), (make_learner("uniform"), "Digits")])
def test_anything_but_a_learner_or_tasks_is_refused_with_what_to_give(given, tasks):
    with pytest.raises(TypeError, match="give (make_learner|TaskDistribution)"):
        evaluate(given, tasks)
