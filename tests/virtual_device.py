"""A second torch device, "virtual", whose memory is the CPU's but which refuses to compute with CPU tensors.

On a machine without a GPU, it finds code that mixes devices, and counts the reads that make the host
wait for the device (`reads`):

    with virtual_device() as device:
        venv = gymnasium.make_vec("GPICL-Digits-v0", num_envs=4, device=device)

Kernels are those of the CPU, so results equal the CPU's. As on CUDA, scalars (tensors without dimensions) of the CPU
may take part in any operation, and CPU indices may index. Autocast changes nothing: it has no rules for this device.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

NAME = "virtual"
aten = torch.ops.aten
ATEN, EVERY = torch.library.Library("aten", "IMPL"), torch.library.Library("_", "IMPL")  # registrations live with them
COPIES = {aten._to_copy.default, aten.copy_.default}
INDEXING = {aten.index.Tensor, aten._unsafe_index.Tensor}
INDEX_PUTS = {aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}
READS = {aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default, aten.equal.default}


def supports_virtual_device() -> bool:
    """Whether this torch can add a device in Python (2.9 and later)."""
    from torch.utils import backend_registration

    return hasattr(backend_registration, "_setup_privateuseone_for_python_backend")


class VirtualTensor(torch.Tensor):
    """A tensor on the virtual device; `inner` holds its values."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> "VirtualTensor":
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device(NAME, 0),
        )
        made.inner = inner
        return made

    def __repr__(self, **_: Any) -> str:
        return f"VirtualTensor({self.inner!r})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.inner.__reduce_ex__(protocol)  # a file then holds an ordinary tensor

    def tolist(self) -> Any:
        reads["tolist"] += 1
        return self.inner.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Mode(TorchDispatchMode):
    """Sees what is made on a device, too, where no tensor takes part."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


reads: Counter[str] = Counter()  # by which the host waits for a result of the device


@contextmanager
def virtual_device() -> Iterator[torch.device]:
    """Inside, tensors can be made on the device that is given."""
    register()
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with _Mode():
            yield torch.device(NAME)
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = list(_tensors((*args, *kwargs.values())))
    there = [tensor for tensor in tensors if isinstance(tensor, VirtualTensor)]
    here = [tensor for tensor in tensors if not isinstance(tensor, VirtualTensor)]
    target = kwargs.get("device")
    to_virtual = bool(there) if target is None else torch.device(target).type == NAME
    if func is aten.copy_.default:
        to_virtual = isinstance(args[0], VirtualTensor)
    if there:
        _check(func, args, there, here)
    if there and (func in READS or (func in COPIES and not to_virtual)):
        reads[str(func)] += 1
    inner_kwargs = {name: _mapped(_inner, value) for name, value in kwargs.items()}
    if target is not None:
        inner_kwargs |= {"device": torch.device("cpu")} | ({"pin_memory": False} if "pin_memory" in kwargs else {})
    out = func(*_mapped(_inner, args), **inner_kwargs)
    if not to_virtual:
        return out
    known = {id(tensor.inner): tensor for tensor in there}
    out = _mapped(lambda value: _wrapped(value, known), out)
    return return_and_correct_aliasing(func, args, kwargs, out) if there and len(here) == 0 else out


def _check(func: Any, args: Any, there: list[VirtualTensor], here: list[torch.Tensor]) -> None:
    """Refuse what CUDA refuses."""
    if func in COPIES:
        return
    if func in INDEXING or func in INDEX_PUTS:
        mixed = not isinstance(args[0], VirtualTensor) and any(t.dim() for t in there)
        mixed |= func in INDEX_PUTS and not isinstance(args[2], VirtualTensor) and args[2].dim() > 0
    else:
        mixed = any(tensor.dim() for tensor in here)
    if mixed:
        shapes = [tuple(tensor.shape) for tensor in there], [tuple(tensor.shape) for tensor in here]
        raise RuntimeError(f"{func} mixes tensors of the virtual device {shapes[0]} and of the CPU {shapes[1]}")


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    """The tensors in nested lists and tuples, which are all that an operation takes; torch's own trees are slower."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """The same nest of lists and tuples, with the function of each leaf."""
    if isinstance(value, list | tuple):
        return type(value)([_mapped(function, each) for each in value])
    return function(value)


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, VirtualTensor) else value


def _wrapped(value: Any, known: dict[int, VirtualTensor]) -> Any:
    if not isinstance(value, torch.Tensor) or isinstance(value, VirtualTensor):
        return value
    return known[id(value)] if id(value) in known else VirtualTensor(value)


def _lstm_cell(x: Any, h: Any, c: Any, bias_x: Any = None, bias_h: Any = None) -> tuple[torch.Tensor, ...]:
    gates = x + h + (0 if bias_x is None else bias_x) + (0 if bias_h is None else bias_h)
    i, f, g, o = gates.chunk(4, 1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    after = f * c + i * g
    return o * after.tanh(), after, torch.cat([i, f, g, o], 1)


def _gru_cell(x: Any, h: Any, state: Any, bias_x: Any = None, bias_h: Any = None) -> tuple[torch.Tensor, ...]:
    x, h = (x if bias_x is None else x + bias_x), (h if bias_h is None else h + bias_h)
    (reset_x, update_x, new_x), (reset_h, update_h, new_h) = x.chunk(3, 1), h.chunk(3, 1)
    reset, update = (reset_x + reset_h).sigmoid(), (update_x + update_h).sigmoid()
    new = (new_x + reset * new_h).tanh()
    return new + update * (state - new), torch.cat([reset, update, new, state, new_h], 1)


# torch takes these for any device that is not the CPU, which has no such kernels.
FUSED_CELLS: dict[str, Callable[..., Any]] = {"_thnn_fused_lstm_cell": _lstm_cell, "_thnn_fused_gru_cell": _gru_cell}


def register() -> None:
    """Make the device known to torch; must come before the first backward pass of the process."""
    if hasattr(torch, NAME):
        return
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    _setup_privateuseone_for_python_backend(NAME)
    for name, cell in FUSED_CELLS.items():
        ATEN.impl(name, cell, "AutogradPrivateUse1")
    EVERY.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    module = getattr(torch, NAME)
    module.get_amp_supported_dtype = lambda: [torch.float16, torch.bfloat16]
    module.get_rng_state = lambda device=None: torch.zeros(8, dtype=torch.uint8)
    module.get_rng_state_all = lambda: [torch.zeros(8, dtype=torch.uint8)]
    module.set_rng_state = lambda state, device=None: None
    module.set_rng_state_all = lambda states: None
    module.manual_seed = module.manual_seed_all = lambda seed: None
    module._is_in_bad_fork = lambda: False
    module.synchronize = lambda device=None: None  # asked by libraries that look for an accelerator
