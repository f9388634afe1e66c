"""Environments in forked processes, as `AsyncVectorEnv` and `multiprocessing.Pool` begin them on Linux by default."""

import os
import sys


def use_one_thread_in_forked_processes() -> None:
    """Let torch compute with one thread in every process that is forked from now on, as its `DataLoader` does.

    A forked process inherits the belief that its parent's threads exist, and waits for them for ever in its first
    computation with several. `torch.set_num_threads` there sets another number.
    """
    if hasattr(os, "register_at_fork"):  # nothing forks on Windows
        os.register_at_fork(after_in_child=_use_one_thread)


def _use_one_thread() -> None:
    torch = sys.modules.get("torch")  # if it was not imported before the fork, its threads will be the child's own
    if torch is not None:
        torch.set_num_threads(1)
