"""What a prediction costs in floating-point operations, counted once: on one episode, outside the scored ones."""

from math import prod
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.calls import Caller

aten = torch.ops.aten
FIRST_FACTOR = {aten.mm: 0, aten.bmm: 0, aten.addmm: 1, aten.baddbmm: 1}  # product → place of A in its arguments
ATTENTION = {
    aten._scaled_dot_product_flash_attention,
    aten._scaled_dot_product_flash_attention_for_cpu,  # which torch's own counter leaves out
    aten._scaled_dot_product_efficient_attention,
    aten._scaled_dot_product_cudnn_attention,
}


@torch.no_grad()
def flops_per_prediction(caller: Caller, length: int) -> float | None:
    """Return how many floating-point operations a prediction takes, the mean over an episode of random numbers.

    Counted are matrix products, attention and convolutions that torch computes, forward and (products alone) backward,
    with two operations for each multiplication and addition, as `torch.utils.flop_counter` does. Not counted are all
    other operations (factorisations, sorting, elementwise functions), and what other libraries compute.

    Args:
        caller: calls the learner, which computes one episode.
        length: N, of the episode.

    Returns:
        The count divided by N; None, unknown, if nothing of this kind was computed, or the learner fails here.
    """
    learner: Learner = caller.learner
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, length, learner.n_features, generator=generator)
    y = torch.randint(max(2, learner.n_classes), (1, length), generator=generator)
    y = y.float() if learner.n_classes == 1 else y
    counter = _Counter()
    try:
        with counter:
            caller.predict(x.to(learner.device), y.to(learner.device))
    except Exception:  # its scores stand: a learner may not work in this mode of torch, such as a compiled one
        return None
    return counter.count / length or None


class _Counter(TorchDispatchMode):
    """Adds up operations while it is entered; torch's `FlopCounterMode` does the same, and imports for two seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # True, the default, imports the compiler, to keep it away from what follows

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        kind = func.overloadpacket
        if kind in FIRST_FACTOR:
            self.count += 2 * result.numel() * args[FIRST_FACTOR[kind]].shape[-1]
        elif kind in ATTENTION:
            query, key, value = (each.shape for each in args[:3])
            self.count += 2 * prod(query[:-1]) * key[-2] * (query[-1] + value[-1])
        elif kind is aten.convolution:
            places = args[0] if args[6] else result  # a transposed convolution weights each of its inputs
            self.count += 2 * places.numel() * prod(args[1].shape[1:])
        return result
