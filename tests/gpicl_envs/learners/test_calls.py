import random

import numpy as np
import pytest
import torch

from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.calls import SETTINGS, Caller, LearnerCheckError, settings_put_back


class Steps(Learner):
    """Writes into what it is given from its third step on."""

    def start(self, batch_size: int) -> int:
        torch.set_num_threads(torch.get_num_threads() + 1)
        return 0

    def step(self, state, x, y_previous):
        if state == 2:
            y_previous[:, 0] = 1
        return torch.rand(len(x), self.n_classes), state + 1


def test_steps_get_copies_and_a_start_leaves_no_setting_behind():
    threads = torch.get_num_threads()
    caller, x, y = Caller(Steps(4, 3)), torch.ones(2, 4), torch.zeros(2, 3)
    state = caller.start(2)
    assert torch.get_num_threads() == threads
    for _ in range(2):
        _, state = caller.step(state, x, y)
    with pytest.raises(LearnerCheckError, match=r"Steps.step\(state, x, y_previous\) changed its arguments in place"):
        caller.step(state, x, y)
    assert not y.any()


def test_the_random_numbers_of_others_go_on_as_if_nobody_had_drawn():
    torch.manual_seed(0), np.random.seed(0), random.seed(0)
    expected = torch.rand(3), np.random.rand(), random.random()
    torch.manual_seed(0), np.random.seed(0), random.seed(0)
    caller = Caller(Steps(4, 3))
    first, second = (caller.step(0, torch.ones(2, 4), torch.zeros(2, 3))[0] for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(torch.rand(3), expected[0]) and (np.random.rand(), random.random()) == expected[1:]


def test_settings_are_put_back_after_an_exception_and_left_alone_otherwise():
    before = [setting.get() for setting in SETTINGS]
    with pytest.raises(ZeroDivisionError), settings_put_back():
        torch.set_default_dtype(torch.float64)
        np.seterr(all="raise")
        raise ZeroDivisionError
    with settings_put_back():
        pass
    assert [setting.get() for setting in SETTINGS] == before


def test_returned_logits_are_plain_copies_without_gradients():
    class Returns(Learner):
        def predict(self, x, y):
            return kept

    kept = torch.nn.Parameter(torch.zeros(1, 2, 10))
    logits = Caller(Returns()).predict(torch.ones(1, 2, 784), torch.zeros(1, 2, dtype=torch.int64))
    kept.data.fill_(1)
    assert type(logits) is torch.Tensor and not logits.requires_grad and not logits.any()


class Kind(torch.Tensor):
    """A class of its own, which could say that it equals anything."""


def test_logits_are_plain_tensors_or_of_the_class_of_the_inputs():
    class Returns(Learner):
        def predict(self, x, y):
            return torch.zeros(*y.shape, self.n_classes).as_subclass(Kind)

    x, y = torch.zeros(2, 3, 784), torch.zeros(2, 3, dtype=torch.int64)
    with pytest.raises(LearnerCheckError, match="returned Kind, a subclass of torch.Tensor: return a plain tensor"):
        Caller(Returns()).predict(x, y)
    assert type(Caller(Returns()).predict(x.as_subclass(Kind), y)) is Kind  # as of a device of its own


def test_a_copy_of_a_caller_shares_nothing_and_draws_the_same():
    class Counts(Learner):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[int] = []

        def predict(self, x, y):
            self.seen.append(len(x))
            return torch.rand(*y.shape, self.n_classes)

    x, y = torch.zeros(2, 3, 784), torch.zeros(2, 3, dtype=torch.int64)
    caller = Caller(Counts())
    copied = caller.copy()
    for _ in range(2):
        copied.draw_as(caller)
        assert torch.equal(copied.predict(x, y), caller.predict(x, y))
    copied.predict(x, y)
    assert (caller.learner.seen, copied.learner.seen) == ([2, 2], [2, 2, 2])
