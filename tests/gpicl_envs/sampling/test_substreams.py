"""No two quantities read the same random words."""

import torch
from small_tasks import tasks_of

from gpicl_envs.sampling import substreams
from gpicl_envs.tasks.classification import TaskDistribution


def test_no_option_moves_the_random_numbers_of_another():
    """With an option off or on, everything that it does not concern stays as it was."""
    plain = tasks_of(n_tasks=7).sample(5)
    for option in ({"label_noise": 0.2}, {"drift_every": 25, "drift": "labels"}, {"permutation_bias": 0.5}):
        other = tasks_of(n_tasks=7, **option).sample(5)
        assert torch.equal(other.x, plain.x) and torch.equal(other.task_id, plain.task_id)


def test_every_kind_of_stream_has_a_purpose_of_its_own():
    both = TaskDistribution("Digits"), TaskDistribution("Digits", split="test")
    purposes = [tasks._purpose(kind) for tasks in both for kind in (substreams.ONE_OFF_TASK, substreams.EPISODE)]
    purposes += [substreams.FIXED_TASK, substreams.SHARED]
    assert len(set(purposes)) == len(purposes)
