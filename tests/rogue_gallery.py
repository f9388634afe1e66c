"""Learners that do what none should, each in a line or two; none may change the score of an honest neighbour.

A process that a runner starts imports this module, but cannot import a file of tests.
"""

import gc
import os
import random
import sys
import threading
import time
import warnings

import numpy as np
import torch
from torch.nn.functional import one_hot

from gpicl_envs.learners.base import Learner

DEEDS = {}  # name → what a rogue does in every call of predict: (rogue, x, y) → logits, or None for zeros
OF_PROCESS = set()  # names of the deeds from which only a process of its own protects


def deed(act):
    DEEDS[act.__name__] = act
    return act


def deed_of_process(act):
    OF_PROCESS.add(act.__name__)
    return deed(act)


class Rogue(Learner):
    """Honest but useless in the checks (at most 24 positions), and then does its deed.

    `rogue_gallery:Rogue,deed=NAME`, for a benchmark.
    """

    def __init__(self, n_features: int = 784, n_classes: int = 10, *, deed: str, always: bool = False) -> None:
        super().__init__(n_features, n_classes)
        self.deed, self.always, self.calls, self.kept = deed, always, 0, None

    @property
    def name(self) -> str:
        return self.deed

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        zeros = torch.zeros(*y.shape, self.n_classes)
        if y.shape[1] <= 24 and not self.always:
            return zeros
        self.calls += 1
        logits = DEEDS[self.deed](self, x, y)
        return zeros if logits is None else logits


class Drawn(Learner):
    """An honest neighbour whose last digits are drawn from torch, NumPy and `random`."""

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        noise = torch.rand(*y.shape, self.n_classes) + np.random.rand() + random.random()
        return torch.arange(self.n_classes) / 10 + 1e-5 * noise


# -- Arguments -------------------------------------------------------------------------------------------------------


@deed
def zeroes_labels(self, x, y):
    y.zero_()
    return one_hot(y, self.n_classes).float()


@deed
def fills_labels(self, x, y):
    y.fill_(3)


@deed
def flips_labels(self, x, y):
    y.copy_(y.flip(1))


@deed
def draws_labels(self, x, y):
    y.random_(self.n_classes)


@deed
def zeroes_labels_behind_autograd(self, x, y):
    y.data.zero_()


@deed
def zeroes_labels_through_numpy(self, x, y):
    y.numpy()[:] = 0


@deed
def zeroes_inputs(self, x, y):
    x.zero_()


@deed
def centres_inputs_in_place(self, x, y):
    x -= x.mean(2, keepdim=True)


@deed
def negates_one_input(self, x, y):
    x[-1, -1, 0].neg_()


@deed
def makes_inputs_infinite(self, x, y):
    x.fill_(torch.inf)


@deed
def empties_inputs(self, x, y):
    x.set_()


@deed
def resizes_labels(self, x, y):
    y.resize_(1)


@deed
def transposes_inputs(self, x, y):
    x.transpose_(0, 1)


@deed
def overwrites_the_arguments_of_its_last_call(self, x, y):
    if self.kept is not None:
        for tensor in self.kept:
            tensor.zero_()
    self.kept = x, y


@deed
def overwrites_its_last_logits(self, x, y):
    self.kept = torch.zeros(*y.shape, self.n_classes) if self.kept is None else self.kept.random_(9)
    return self.kept[: len(y)] if self.kept.shape[1:] == (y.shape[1], self.n_classes) else None


@deed
def overwrites_labels_later(self, x, y):
    threading.Timer(0.001, y.zero_).start()


@deed
def asks_for_gradients(self, x, y):
    x.requires_grad_()


# -- Answers ---------------------------------------------------------------------------------------------------------


class Liar(torch.Tensor):
    """Is equal to everything."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        result = super().__torch_function__(function, types, args, kwargs or {})
        return (
            torch.ones_like(result, dtype=torch.bool).as_subclass(torch.Tensor)
            if function is torch.Tensor.eq
            else result
        )


@deed
def answers_with_a_tensor_that_equals_everything(self, x, y):
    return torch.zeros(*y.shape, self.n_classes).as_subclass(Liar)


@deed
def answers_nothing(self, x, y):
    return "nothing"


@deed
def answers_not_a_number(self, x, y):
    return torch.full((*y.shape, self.n_classes), torch.nan)


@deed
def answers_too_few(self, x, y):
    return torch.zeros(len(y), 1, self.n_classes)


@deed
def answers_the_label(self, x, y):
    return one_hot(y, self.n_classes).float()


@deed
def raises(self, x, y):
    raise KeyError("no such weight")


@deed
def raises_in_its_second_call(self, x, y):
    if self.calls == 2:
        raise RuntimeError("enough")


# -- Settings of the process -----------------------------------------------------------------------------------------


@deed
def sets_double_precision(self, x, y):
    torch.set_default_dtype(torch.float64)


@deed
def sets_the_default_device(self, x, y):
    zeros = torch.zeros(*y.shape, self.n_classes)
    torch.set_default_device("meta")
    return zeros


@deed
def seeds_everything(self, x, y):
    torch.manual_seed(0), np.random.seed(0), random.seed(0)


@deed
def draws_from_everything(self, x, y):
    torch.rand(7), np.random.rand(7), random.random()


@deed
def sets_the_threads(self, x, y):
    torch.set_num_threads(torch.get_num_threads() + 1)


@deed
def turns_gradients_on(self, x, y):
    torch.set_grad_enabled(True)


@deed
def turns_anomaly_detection_on(self, x, y):
    torch.autograd.set_detect_anomaly(True)


@deed
def wants_deterministic_algorithms(self, x, y):
    torch.use_deterministic_algorithms(True)


@deed
def lowers_the_precision_of_products(self, x, y):
    torch.set_float32_matmul_precision("medium")


@deed
def turns_autocast_on(self, x, y):
    torch.set_autocast_enabled("cpu", True)


@deed
def flushes_denormals(self, x, y):
    torch.set_flush_denormal(True)


@deed
def makes_numpy_raise(self, x, y):
    np.seterr(all="raise")


@deed
def makes_warnings_errors(self, x, y):
    warnings.simplefilter("error")


@deed
def lowers_the_recursion_limit(self, x, y):
    sys.setrecursionlimit(150)


@deed
def changes_the_folder(self, x, y):
    os.chdir("/")


@deed
def changes_the_environment(self, x, y):
    os.environ.update(GPICL_DATA_DIR="/nowhere", OMP_NUM_THREADS="64")
    os.environ.pop("PATH", None)


@deed
def turns_the_garbage_collector_off(self, x, y):
    gc.disable()


@deed
def takes_the_output_away(self, x, y):
    sys.stdout = sys.stderr = None


# -- From these only a process of its own protects -------------------------------------------------------------------


@deed_of_process
def replaces_argmax(self, x, y):
    torch.Tensor.argmax = lambda tensor, *dims: torch.zeros(tensor.shape[:-1], dtype=torch.int64)


@deed_of_process
def replaces_a_product(self, x, y):
    torch.Tensor.__matmul__ = lambda left, right: torch.bmm(left, right) * 0


@deed_of_process
def replaces_the_neighbours_class(self, x, y):
    for kind in Learner.__subclasses__():
        if kind.__name__ == "KNearestNeighbors":
            kind.predict = lambda self, x, y: torch.zeros(*y.shape, self.n_classes)


@deed_of_process
def replaces_the_check(self, x, y):
    from gpicl_envs.suites import run

    run.check_learner = lambda *arguments, **options: None


@deed_of_process
def replaces_the_episodes(self, x, y):
    from gpicl_envs.tasks.classification import TaskDistribution

    sample = TaskDistribution.sample
    TaskDistribution.sample = lambda tasks, count, seed=0, first=0: sample(tasks, count, seed + 1, first)


@deed_of_process
def overwrites_the_dataset(self, x, y):
    from gpicl_envs.datasets import load_dataset

    for array in load_dataset("Digits").x.values():
        array.setflags(write=True)
        array[:] = 0


@deed_of_process
def overwrites_every_tensor(self, x, y):
    for found in gc.get_objects():
        if type(found) is torch.Tensor and found.dtype == torch.int64:
            found.zero_()


@deed_of_process
def overwrites_the_labels_of_its_caller(self, x, y):
    frame = sys._getframe()
    while frame := frame.f_back:
        if isinstance(frame.f_locals.get("y"), torch.Tensor):
            frame.f_locals["y"].zero_()


@deed_of_process
def hooks_into_every_module(self, x, y):
    torch.nn.modules.module.register_module_forward_hook(lambda module, given, result: result * 0)


@deed_of_process
def closes_the_output(self, x, y):
    sys.stdout.close(), sys.stderr.close()


@deed_of_process
def forgets_modules(self, x, y):
    for name in [name for name in sys.modules if name.startswith("gpicl_baselines")]:
        del sys.modules[name]


@deed_of_process
def leaves_inference_mode_on(self, x, y):
    self.kept = torch.inference_mode()
    self.kept.__enter__()


@deed_of_process
def leaves_a_thread_behind(self, x, y):
    def run():
        while True:
            torch.set_default_dtype(torch.float64)
            time.sleep(0.001)

    threading.Thread(target=run, daemon=True).start()


@deed_of_process
def exits_without_a_word(self, x, y):
    os._exit(0)


@deed_of_process
def presses_ctrl_c(self, x, y):
    raise KeyboardInterrupt


@deed_of_process
def raises_a_long_message(self, x, y):
    raise ValueError("no " * 3_000_000)
