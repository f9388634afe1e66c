import pytest
import torch
from long_convolution import LongConvolution
from torch.nn.functional import one_hot

from gpicl_envs.learners.calls import Caller, LearnerCheckError
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.learners.rounding import rounding

LEAKS = {
    "its own label": lambda x, y: one_hot(y, 4).float(),
    "the last label": lambda x, y: one_hot(y[:, -1:], 4).float(),
    "the next input": lambda x, y: x.roll(-1, 1)[..., :4],
    "the mean of all inputs": lambda x, y: x.mean(1, keepdim=True)[..., :4],
    "which inputs are positive": lambda x, y: (x.roll(-1, 1)[..., :4] > 0).float(),
}


class Leaky(LongConvolution):
    """The same, with a part of what it must not see in its logits."""

    def __init__(self, leak: str = "its own label", weight: float = 0.0, **arguments) -> None:
        super().__init__(6, 4, **arguments)
        self.leak, self.weight = leak, weight

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        logits = super().predict(x, y)
        return logits + self.weight * logits.abs().amax((1, 2), keepdim=True) * LEAKS[self.leak](x, y)


@pytest.mark.parametrize("length", [2, 3, 12, 100, 500])
def test_an_honest_convolution_by_fft_passes(length: int):
    for seed in range(3):
        check_learner(LongConvolution(6, 4), length=length, seed=seed)
    check_learner(LongConvolution(), length=min(length, 100))


@pytest.mark.parametrize("gain", [1e-4, 1e4])
def test_so_does_one_of_small_and_of_large_logits(gain: float):
    check_learner(LongConvolution(6, 4, gain=gain))


@pytest.mark.parametrize("length", [12, 100])
@pytest.mark.parametrize("weight", [1.0, 1e-1, 1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_beside_rounding_is_found(leak: str, weight: float, length: int):
    with pytest.raises(LearnerCheckError, match=r"Not causal: .* rounding explains at most \d"):
        check_learner(Leaky(leak, weight), length=length)


def test_a_leak_as_small_as_the_rounding_is_not_found():
    """The documented limit."""
    check_learner(Leaky("its own label", 1e-7))


def test_rounding_is_nothing_for_learners_that_are_causal_to_the_bit():
    x, y = torch.randn(4, 12, 784), torch.randint(10, (4, 12))
    for name, largest in (("knn", 0.0), ("ridge", 0.0), ("gru", 0.0)):
        caller = Caller(make_learner(name))
        with torch.no_grad():
            assert rounding(caller, x, y, caller.predict(x, y)) == largest
    caller = Caller(LongConvolution())
    with torch.no_grad():
        assert 0 < rounding(caller, x, y, caller.predict(x, y)) < 1e-2


def test_inputs_nudged_alone_do_not_make_a_leak_look_like_rounding():
    """A leak of the inputs changes with the nudge, in proportion: by far less than with other inputs."""
    learner = Leaky("the mean of all inputs", 1e-3)
    x, y = torch.randn(4, 12, 6), torch.randint(4, (4, 12))
    with torch.no_grad():
        logits = learner.predict(x, y)
        assert rounding(Caller(learner), x, y, logits) < 1e-4 * float(logits.abs().max())
