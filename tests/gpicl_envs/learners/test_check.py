"""`check_learner` must catch every cheat, and pass the honest."""

from typing import Any

import pytest
import torch
from torch.nn.functional import one_hot

from gpicl_envs.learners import check
from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.calls import LearnerCheckError
from gpicl_envs.learners.check import check_learner, check_length


class Base(Learner):
    """Honest: prototypes by running sums of the inputs of each class."""

    def __init__(self, n_features: int = 6, n_classes: int = 4) -> None:
        super().__init__(n_features, n_classes)

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.bmm(torch.bmm(x, x.mT).tril(-1), one_hot(y, self.n_classes).float())


class PeeksAtTheCurrentLabel(Base):
    def predict(self, x, y):
        return super().predict(x, y) + 1e-6 * one_hot(y, self.n_classes)


class PeeksAtTheLastLabel(Base):
    def predict(self, x, y):
        return super().predict(x, y) + one_hot(y[:, -1:], self.n_classes)


class PeeksAtFutureInputs(Base):
    def predict(self, x, y):
        return super().predict(x - x.mean(1, keepdim=True), y)


class PeeksAtTheNextInputOnly(Base):
    def predict(self, x, y):
        return super().predict(x, y) + 1e-5 * x.roll(-1, 1)[:, :, : self.n_classes]


class NormalisesOverTheBatch(Base):
    def predict(self, x, y):
        return super().predict(x / x[:, :1].std(0, keepdim=True), y)


class DependsOnTheSizeOfTheBatch(Base):
    def predict(self, x, y):
        return super().predict(x, y) / len(x)


class DependsOnTheLengthOfTheEpisode(Base):
    def predict(self, x, y):
        return super().predict(x, y) / x.shape[1]


class IsRandom(Base):
    def predict(self, x, y):
        return super().predict(x, y) + torch.rand(1)


class ReturnsProbabilitiesOfTheWrongShape(Base):
    def predict(self, x, y):
        return super().predict(x, y)[:, -1]


class ReturnsLabels(Base):
    def predict(self, x, y):
        return super().predict(x, y).long()


class ReturnsNaN(Base):
    def predict(self, x, y):
        logits = super().predict(x, y)
        logits[2, 3, 1] = torch.nan
        return logits


class ReturnsAnArray(Base):
    def predict(self, x, y):
        return super().predict(x, y).numpy()


class ChangesItsArguments(Base):
    def predict(self, x, y):
        x -= 1
        return super().predict(x, y)


class StepsOtherwise(Base):
    def step(self, state: Any, x: torch.Tensor, y_previous: torch.Tensor) -> tuple[torch.Tensor, Any]:
        logits, state = super().step(state, x, y_previous)
        return logits + 0.1, state


class StepsWithoutState(Base):
    def step(self, state, x, y_previous):
        return super().step(state, x, y_previous)[0]


class ShrinksItsState(Base):
    def state_size(self, n_examples):
        return 100 - n_examples


class ForgotTheConstructor(Base):
    def __init__(self):
        pass


CHEATS = {
    PeeksAtTheCurrentLabel: r"Not causal: .* changed with labels from position",
    PeeksAtTheLastLabel: "Not causal: .* with labels",
    PeeksAtFutureInputs: "Not causal: .* with inputs after position",
    PeeksAtTheNextInputOnly: "Not causal: .* with inputs after position",
    NormalisesOverTheBatch: "Episodes leak",
    DependsOnTheSizeOfTheBatch: "batch of one differs",
    DependsOnTheLengthOfTheEpisode: "shorter episode differs",
    IsRandom: "other logits when called again",
    ReturnsProbabilitiesOfTheWrongShape: r"shape \(4, 4\), expected \(4, 12, 4\)",
    ReturnsLabels: "torch.int64, not floating-point",
    ReturnsNaN: r"returned nan at \(2, 3, 1\)",
    ReturnsAnArray: "returned ndarray, not a torch tensor",
    ChangesItsArguments: "changed its arguments",
    StepsOtherwise: "step at position 0 differs",
    StepsWithoutState: r"returned Tensor, expected \(logits, state\)",
    ShrinksItsState: "state_size",
    ForgotTheConstructor: r"n_features is None.*super\(\).__init__",
}


@pytest.mark.parametrize("cheat", CHEATS, ids=lambda cheat: cheat.__name__)
def test_a_cheat_is_caught_for_the_right_reason(cheat: type[Base]):
    with pytest.raises(LearnerCheckError, match=CHEATS[cheat]):
        check_learner(cheat())


def test_the_honest_pass():
    check_learner(Base())
    check_learner(Base(n_features=3, n_classes=2), batch_size=2, length=5, seed=3)


def test_what_is_no_learner_is_told_so():
    with pytest.raises(LearnerCheckError, match="is a class: give an instance"):
        check_learner(Base)
    with pytest.raises(LearnerCheckError, match=r"no method predict\(\): derive it from Learner"):
        check_learner(object())


# -- Slow learners -----------------------------------------------------------------------------------------------------


def slowly(kind: type[Learner], monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> list[tuple[int, int]]:
    """Check a learner as if it were slow; returns (B, N) of every prediction."""
    shown: list[tuple[int, int]] = []

    class Recorded(kind):  # type: ignore[misc, valid-type]
        def predict(self, x, y):
            shown.append(tuple(y.shape))
            return super().predict(x, y)

    monkeypatch.setattr(check, "SLOW", -1.0)
    check_learner(Recorded(), **arguments)
    return shown


class Refits(Base):
    """Its statistics are those of the last multiple of ten examples."""

    def predict(self, x, y):
        similar = torch.bmm(x, x.mT)
        last = torch.arange(y.shape[1]) // 10 * 10
        return torch.bmm(similar * (torch.arange(y.shape[1]) < last[:, None]), one_hot(y, self.n_classes).float())

    def critical_positions(self, length):
        return range(10, length, 10)


class RefitsOnOneTooMany(Refits):
    """Only the example of the refit itself leaks."""

    def predict(self, x, y):
        leak = one_hot(y, self.n_classes).float()
        return super().predict(x, y) + leak * (torch.arange(y.shape[1]) % 10 == 0)[:, None] * (y.shape[1] > 30)


def test_a_slow_learner_is_checked_at_few_positions_of_two_episodes(monkeypatch: pytest.MonkeyPatch):
    told: list[str] = []
    shown = slowly(Refits, monkeypatch, length=100, report=told.append)
    assert shown[:2] == [(4, 100)] * 2 and all(b <= 2 for b, _ in shown[2:])
    assert sum(b * n for b, n in shown) < 100 * 4 * 11  # 35 + 50 predictions of the trial batch before
    (line,) = told
    assert "RefitsRecorded" not in line and "Recorded is slow" in line and " 0, 10, 20," in line and ", 99," in line


def test_a_fast_learner_is_checked_at_all(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(check, "SLOW", 1e9)
    told: list[str] = []
    check_learner(Refits(), length=100, report=told.append)
    assert told == []


@pytest.mark.parametrize("cheat", [*CHEATS, RefitsOnOneTooMany], ids=lambda cheat: cheat.__name__)
def test_a_slow_cheat_is_caught_for_the_same_reason(cheat: type[Base], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(check, "SLOW", -1.0)
    length = 100 if cheat is RefitsOnOneTooMany else 12
    with pytest.raises(LearnerCheckError, match=CHEATS.get(cheat, "Not causal: .* changed with labels from position")):
        check_learner(cheat(), length=length)


def test_a_slow_learner_whose_step_is_its_own_steps_through_all(monkeypatch: pytest.MonkeyPatch):
    class StepsWrongAt7(Base):
        def start(self, batch_size):
            return 0, super().start(batch_size)

        def step(self, state, x, y_previous):
            n, state = state
            logits, state = super().step(state, x, y_previous)
            return logits + (n == 7), (n + 1, state)

    monkeypatch.setattr(check, "SLOW", -1.0)
    with pytest.raises(LearnerCheckError, match="step at position 7 differs"):
        check_learner(StepsWrongAt7(), length=20)


# -- Learners with a longest episode -----------------------------------------------------------------------------------


class SixtyFour(Base):
    """Has 64 positions, as a small GPT-2."""

    def predict(self, x, y):
        return super().predict(x, y) + torch.nn.functional.embedding(torch.arange(y.shape[1]), torch.zeros(64, 4))


@pytest.mark.parametrize("checked", [lambda made, n: check_learner(made, length=n), check_length])
def test_a_learner_with_too_few_positions_is_named(checked):
    checked(SixtyFour(), 64)
    with pytest.raises(LearnerCheckError, match="SixtyFour predicts episodes of 8 examples, but not of 65.*IndexError"):
        checked(SixtyFour(), 65)


def test_a_learner_that_always_fails_shows_its_own_error():
    class Fails(Base):
        def predict(self, x, y):
            raise KeyError("no key")

    with pytest.raises(KeyError, match="no key"):
        check_learner(Fails(), length=20)
