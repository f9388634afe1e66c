from collections.abc import Callable

import pytest
import torch
from long_convolution import LongConvolution

from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.evaluation.leakage import altered_logits
from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.calls import LearnerCheckError
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.classification import TaskDistribution


class PeeksLate(Learner):
    """Behaves on the Gaussian data of `check_learner`, and reads the label wherever inputs are those of real tasks."""

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        labels = torch.nn.functional.one_hot(y, self.n_classes).float()
        return labels if y.shape[1] == 30 else torch.zeros_like(labels)


def test_a_cheat_that_passes_the_check_is_caught_on_the_episodes(tasks: TaskDistribution):
    check_learner(PeeksLate())
    with pytest.raises(LearnerCheckError, match="PeeksLate at position 29 changed with the labels from position 29"):
        evaluate(PeeksLate(), tasks, episodes=4)


class PeeksSometimes(Learner):
    """1-NN, but the label itself at the positions `where`."""

    def __init__(self, where: Callable[[torch.Tensor], torch.Tensor], weight: float = 20.0) -> None:
        super().__init__()
        self.where, self.weight = where, weight

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        labels = torch.nn.functional.one_hot(y, self.n_classes).float()
        honest = make_learner("knn").predict(x, y) if self.weight > 1 else torch.zeros_like(labels)
        return torch.where(self.where(y)[..., None], honest + self.weight * labels, honest)


CHEATS = {
    "late positions": lambda y: (torch.arange(y.shape[1]) >= 20).expand(y.shape),
    "the last position": lambda y: (torch.arange(y.shape[1]) == y.shape[1] - 1).expand(y.shape),
    "later rows of a batch": lambda y: (torch.arange(len(y)) >= 2)[:, None].expand(y.shape),
    "large batches": lambda y: torch.full(y.shape, len(y) > 4),
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_cheat_that_hides_is_caught(tasks: TaskDistribution, cheat: str):
    with pytest.raises(LearnerCheckError, match="Not causal: on episodes of the evaluation"):
        evaluate(PeeksSometimes(CHEATS[cheat]), tasks, episodes=64)


def test_a_cheat_below_the_tolerance_is_caught_by_the_most_likely_label(tasks: TaskDistribution):
    everywhere = PeeksSometimes(lambda y: torch.ones_like(y, dtype=torch.bool), weight=5e-5)
    with pytest.raises(LearnerCheckError, match="Not causal"):
        evaluate(everywhere, tasks, episodes=16)


def test_one_huge_answer_excuses_no_cheating_elsewhere(tasks: TaskDistribution):
    """In the order of the logits nothing changes; their size gives the label away, to the likelihood."""

    class Huge(Learner):
        def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            logits = torch.nn.functional.one_hot(y, self.n_classes).float()
            logits[..., 0] = 2.0
            logits[:, 0] = 0.0
            logits[:, 0, 0] = 1e9
            return logits

    with pytest.raises(LearnerCheckError, match="Not causal: on episodes of the evaluation"):
        evaluate(Huge(), tasks, episodes=16)


@pytest.mark.parametrize("gain", [0.0, 1e-4, 1.0, 100.0])
def test_a_convolution_by_fft_is_not_taken_for_a_leak(tasks: TaskDistribution, gain: float):
    """Without gain its logits are the rounding itself, which also decides its most likely label."""
    for seed in range(4):
        curve = evaluate(LongConvolution(gain=gain), tasks, episodes=32, seed=seed)
    assert 0 < curve.scores.mean() < 1


@pytest.mark.parametrize("weight", [1.0, 1e-1, 1e-2, 1e-3])
def test_a_convolution_by_fft_that_leaks_is_caught(tasks: TaskDistribution, weight: float):
    class Leaky(LongConvolution):
        def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            logits = super().predict(x, y)
            size = logits.abs().amax((1, 2), keepdim=True)
            return logits + weight * size * torch.nn.functional.one_hot(y, self.n_classes)

    with pytest.raises(LearnerCheckError, match="Not causal: on episodes of the evaluation"):
        evaluate(Leaky(), tasks, episodes=32)


def test_one_that_decides_ties_by_the_label_is_caught(tasks: TaskDistribution):
    class DecidesTies(LongConvolution):
        def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return super().predict(x, y) + 1e-4 * torch.nn.functional.one_hot(y, self.n_classes)

    with pytest.raises(LearnerCheckError, match="Not causal: on episodes of the evaluation"):
        evaluate(DecidesTies(gain=0.0), tasks, episodes=32)


def test_a_learner_that_answers_nan_to_altered_episodes_is_caught(tasks: TaskDistribution):
    true = int(tasks.sample(16, 0, 0).y[0, -1])

    class Fails(Learner):
        def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            logits = torch.zeros(*y.shape, self.n_classes)
            logits[..., 0] = torch.nan if int(y[0, -1]) != true else 1.0
            return logits

    with pytest.raises(LearnerCheckError, match="Fails.predict.* returned nan at"):
        evaluate(Fails(), tasks, episodes=16)


class Remembers(Learner):
    """Answers the label itself, and from memory where it was shown the first inputs, or this many episodes, before."""

    def __init__(self, key: Callable[[torch.Tensor], torch.Tensor], positions: int = 100) -> None:
        super().__init__()
        self.key, self.positions = key, positions
        self.memory: dict[bytes, torch.Tensor] = {}

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        labels = torch.nn.functional.one_hot(y, self.n_classes).float()
        labels[:, self.positions :] = 0.0
        return self.memory.setdefault(self.key(x).numpy().tobytes(), labels)


@pytest.mark.parametrize(
    "key",
    [lambda x: x[:, 0], lambda x: x[0, 0, :1], lambda x: torch.tensor([x.shape[0]])],
    ids=["the first inputs", "the first number", "the size of the batch"],
)
@pytest.mark.parametrize("batch_size", [1, 16])
def test_a_cheat_that_answers_altered_episodes_from_memory_is_caught(tasks: TaskDistribution, key, batch_size: int):
    with pytest.raises(LearnerCheckError, match="Not causal: on episodes of the evaluation"):
        evaluate(Remembers(key), tasks, episodes=64, batch_size=batch_size)


MEMORY: dict[bytes, torch.Tensor] = {}


class RemembersInItsModule(Remembers):
    """Shares its memory with every copy."""

    def __init__(self, n_features: int = 784, n_classes: int = 10) -> None:
        super().__init__(lambda x: x[:, 0])
        self.n_features, self.n_classes, self.memory = n_features, n_classes, MEMORY

    def __deepcopy__(self, memo):
        return RemembersInItsModule(self.n_features, self.n_classes)


class CopiesToItself(Remembers):
    def __init__(self) -> None:
        super().__init__(lambda x: x[:, 0])

    def __deepcopy__(self, memo):
        return self


class CannotBeCopied(CopiesToItself):
    def __deepcopy__(self, memo):
        raise TypeError("cannot pickle '_thread.lock' object")


@pytest.mark.parametrize("kind", [RemembersInItsModule, CopiesToItself, CannotBeCopied])
@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_a_cheat_that_shares_its_memory_with_its_copy_is_caught(tasks: TaskDistribution, kind, batch_size: int):
    """By its answers to the altered episodes: nobody can guess labels that were drawn at random."""
    MEMORY.clear()
    with pytest.raises(LearnerCheckError, match=f"Not causal: .*{kind.__name__} predicted labels that it must not see"):
        evaluate(kind(), tasks, episodes=64, batch_size=batch_size)


def test_whoever_is_right_or_wrong_throughout_knows_no_label_drawn_at_random():
    """Nor does one that has learned to be wrong: a task of three classes that 1-NN solves, and its opposite."""
    tasks = TaskDistribution("Digits", split="test", length=60, n_classes=3)

    class Opposite(Learner):
        def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return -make_learner("knn", n_features=self.n_features, n_classes=3).predict(x, y)

    for seed in range(2):
        for learner in (make_learner("knn", tasks=tasks), Opposite(tasks.n_features, 3)):
            evaluate(learner, tasks, episodes=64, seed=seed)


OPTIONS = {"episodes": 48, "seed": 3, "batch_size": 16, "final_positions": 10}


def test_answers_of_another_process_stand_for_those_of_a_copy():
    """Memory is no help, even if two classes are too few to tell reading from guessing."""
    two = TaskDistribution("Clusters", split="test", length=30, n_classes=2)
    MEMORY.clear()
    altered = altered_logits(RemembersInItsModule(two.n_features, 2), two, **OPTIONS)
    MEMORY.clear()  # as in another process
    with pytest.raises(LearnerCheckError, match="Not causal: on episodes of the evaluation"):
        evaluate(RemembersInItsModule(two.n_features, 2), two, altered=altered, **OPTIONS)


def test_an_honest_learner_has_the_same_scores_with_answers_of_another_process(tasks: TaskDistribution):
    shown: list[int] = []

    class Counts(Learner):
        def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            shown.append(len(y))
            return make_learner("knn").predict(x, y)

    altered = altered_logits(Counts(), tasks, **OPTIONS)
    assert shown == [16, 16] and [logits.shape for logits in altered] == 2 * [(16, 30, 10)]
    shown.clear()
    curve = evaluate(Counts(), tasks, altered=altered, **OPTIONS)
    assert shown == [16, 16, 16, 1] and (curve.scores == evaluate(Counts(), tasks, **OPTIONS).scores).all()
    for wrong in (altered[:1], altered_logits(Counts(), tasks, **OPTIONS | {"seed": 4})):
        with pytest.raises((ValueError, LearnerCheckError), match="altered_logits|Not causal"):
            evaluate(Counts(), tasks, altered=wrong, **OPTIONS)


def test_a_cheat_that_answers_honestly_every_second_time_is_caught(tasks: TaskDistribution):
    class EverySecondTime(Learner):
        calls = 0

        def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            labels = torch.nn.functional.one_hot(y, self.n_classes).float()
            return labels if self.calls % 2 else torch.zeros_like(labels)

    with pytest.raises(LearnerCheckError, match="Not causal: on episodes of the evaluation"):
        evaluate(EverySecondTime(), tasks, episodes=64)


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_a_cheat_at_early_positions_is_caught_in_small_batches(tasks: TaskDistribution, batch_size: int):
    early = PeeksSometimes(lambda y: (torch.arange(y.shape[1]) < 10).expand(y.shape))
    with pytest.raises(LearnerCheckError, match="Not causal: on episodes of the evaluation"):
        evaluate(early, tasks, episodes=64, batch_size=batch_size)


def test_the_guard_alters_a_few_episodes_of_many(tasks: TaskDistribution):
    """32 of them, in at least two batches: evaluation takes no longer for that than it did."""
    shown: list[int] = []

    class Counts(Learner):
        def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            shown.append(len(y))
            return torch.zeros(*y.shape, self.n_classes)

    for batch_size, altered in ((1, 32), (4, 32), (16, 32), (64, 128), (160, 320), (1000, 640)):
        shown.clear()
        evaluate(Counts(), tasks, episodes=640, batch_size=batch_size)
        assert shown.pop() == 1  # on which its operations are counted
        assert sum(shown) == 640 + altered, batch_size


def test_a_learner_that_cannot_be_copied_is_guarded_all_the_same(tasks: TaskDistribution):
    class NoCopy(PeeksSometimes):
        def __deepcopy__(self, memo):
            raise TypeError("cannot pickle '_thread.lock' object")

    assert evaluate(NoCopy(lambda y: y < 0), tasks, episodes=16).scores.mean() > 0.2
    with pytest.raises(LearnerCheckError, match="Not causal"):
        evaluate(NoCopy(lambda y: y >= 0), tasks, episodes=16)


def test_the_guard_leaves_the_learner_as_it_was(tasks: TaskDistribution):
    """It asks a copy: the learner itself sees each batch once."""

    class Lists(Learner):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[float] = []

        def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            self.seen.append(float(x.sum()))
            return torch.zeros(*y.shape, self.n_classes)

    learner = Lists()
    evaluate(learner, tasks, episodes=48)
    assert learner.seen == [float(tasks.sample(16, 0, first).x.sum()) for first in (0, 16, 32)]
