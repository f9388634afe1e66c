"""One process or many: those that `accelerate launch` (or torchrun) started, and what they exchange.

Each process trains on its part of the batch, and DistributedDataParallel averages the gradients. Since every
environment has its own stream, the episodes of a step are the same for any number of processes.
"""

import os
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel


class Processes:
    """The processes of this run.

    Args:
        device: where this process computes; it decides the backend (gloo on CPUs, NCCL on GPUs).
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.count, self.rank = process_count(), int(os.environ.get("RANK", "0"))
        self.device = torch.device(device)
        if self.count > 1:
            from accelerate import PartialState  # starts the process group with the settings of `accelerate launch`

            PartialState(cpu=self.device.type == "cpu")

    @property
    def is_main(self) -> bool:
        """Whether this is the one process that prints and writes files."""
        return self.rank == 0

    def local_batch_size(self, batch_size: int) -> int:
        """Return how many episodes of a batch fall to this process."""
        if batch_size % self.count:
            raise ValueError(f"batch_size={batch_size} cannot be split over {self.count} processes: give a multiple.")
        return batch_size // self.count

    def local_slice(self, values: list[int | None]) -> list[int | None]:
        """Return those of the values, one for each environment, that belong to this process."""
        size = len(values) // self.count
        return values[self.rank * size : (self.rank + 1) * size]

    def wrap(self, module: nn.Module, *example: torch.Tensor) -> nn.Module:
        """Return the module with its gradients averaged over the processes.

        Args:
            module: its first output is a loss.
            *example: what it may be called with, to see whether it uses all parameters: to wait for those that have no
                gradient costs time, and not to wait is an error of DistributedDataParallel.
        """
        if self.count == 1:
            return module
        with torch.random.fork_rng():
            loss = module(*example)[0]
        parameters = [p for p in module.parameters() if p.requires_grad]
        unused = any(gradient is None for gradient in torch.autograd.grad(loss, parameters, allow_unused=True))
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=devices, find_unused_parameters=unused)

    def accumulating(self, module: nn.Module, last: bool) -> AbstractContextManager[None]:
        """Do not average inside, except for the last batch of a step."""
        return module.no_sync() if isinstance(module, DistributedDataParallel) and not last else nullcontext()

    def mean(self, values: list[float]) -> list[float]:
        """Return the means over the processes."""
        if self.count == 1:
            return values
        together = torch.tensor(values, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(together)
        return (together / self.count).tolist()


def process_count() -> int:
    """Return how many processes were launched together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_device(device: str) -> str:
    """Return this process's own GPU if the device is `"cuda"` and several were launched; else the device."""
    return f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" and process_count() > 1 else device
