"""Rows of a batch of episodes, and of the tasks behind them."""

import numpy as np
import torch
from small_tasks import tasks_of


def test_some_rows_of_a_batch_can_be_replaced():
    tasks = tasks_of(n_tasks=50, length=7, drift_every=3)
    old, new = tasks.sample(4, seed=1), tasks.sample(2, seed=2)
    kept = old.x[[0, 3]].clone()
    mixed = old.replaced(np.array([1, 2]), new)
    for name in ("x", "y", "index", "task_id"):
        assert torch.equal(getattr(mixed, name)[[1, 2]], getattr(new, name)), name
    assert torch.equal(mixed.x[[0, 3]], kept) and len(mixed) == 4
    assert torch.equal(mixed.tasks.permutation[[1, 2]], new.tasks.permutation)
    hidden = tasks.projections(mixed.tasks)  # the streams were replaced too
    assert torch.equal(hidden[[1, 2]], tasks.projections(new.tasks))


def test_rows_of_tasks_are_tasks():
    tasks = tasks_of(n_tasks=50, length=7)
    batch = tasks.sample(5).tasks
    some = batch[np.array([4, 1])]
    assert len(some) == 2
    for name in ("ids", "classes", "permutation"):
        assert torch.equal(getattr(some, name), getattr(batch, name)[[4, 1]])
    assert torch.equal(tasks.projections(some), tasks.projections(batch)[[4, 1]])
