"""Episodes and tasks as functions of seed and number, whatever the distribution."""

import hashlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from small_tasks import EVERY_KIND, EVERY_VARIANT, tasks_of

from gpicl_envs.tasks.classification import TaskDistribution
from gpicl_envs.tasks.regression import FunctionDistribution


@pytest.mark.parametrize("arguments", EVERY_KIND + EVERY_VARIANT, ids=str)
def test_an_episode_does_not_depend_on_batch_size_or_order(arguments: dict):
    tasks = TaskDistribution(**({"dataset": "MNIST", "length": 20} | arguments))
    together = tasks.sample(6, seed=3)
    numbers = np.array([4, 0], np.uint64)
    apart = tasks.episodes(np.full(2, 3, np.uint64), numbers)
    for i, number in enumerate([4, 0]):
        assert torch.equal(apart.y[i], together.y[number]) and torch.equal(apart.index[i], together.index[number])
        assert torch.allclose(apart.x[i], together.x[number], atol=1e-5)


def test_a_task_id_gives_the_same_task_in_any_process():
    program = (
        "import hashlib, torch; from gpicl_envs.tasks.classification import TaskDistribution\n"
        "tasks = TaskDistribution('Digits', n_tasks=2**24)\n"
        "import numpy as np; n = np.arange(2, dtype=np.uint64)\n"
        "e = tasks.episodes(n, n, task_ids=torch.tensor([12345, 7]))\n"
        "content = tasks.projections(e.tasks).numpy().tobytes() + e.tasks.permutation.numpy().tobytes()\n"
        "print(hashlib.sha256(content).hexdigest())"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()
    tasks = TaskDistribution("Digits", n_tasks=2**24)
    ids = torch.tensor([3, 7, 12345])
    numbers = np.array([8, 9, 5], np.uint64)
    episodes = tasks.episodes(numbers, numbers, task_ids=ids)
    matrices = tasks.projections(episodes.tasks)
    content = matrices[[2, 1]].numpy().tobytes() + episodes.tasks.permutation[[2, 1]].numpy().tobytes()
    assert hashlib.sha256(content).hexdigest() == elsewhere


def test_two_ids_are_two_tasks_and_another_task_seed_others():
    tasks = TaskDistribution("Digits", n_tasks=100)
    zero, one = np.zeros(1, np.uint64), torch.tensor([1])
    a = tasks.projections(tasks.episodes(zero, zero, task_ids=one).tasks)
    b = tasks.projections(tasks.episodes(zero, zero, task_ids=one + 1).tasks)
    other = TaskDistribution("Digits", n_tasks=100, task_seed=1)
    c = other.projections(other.episodes(zero, zero, task_ids=one).tasks)
    for left, right in ((a, b), (a, c), (b, c)):
        assert abs(np.corrcoef(left.flatten(), right.flatten())[0, 1]) < 0.03


def test_ids_are_drawn_from_all_tasks_and_examples_afresh():
    tasks = TaskDistribution("Digits", n_tasks=5, length=10)
    episodes = tasks.sample(200)
    assert episodes.task_id.unique().tolist() == [0, 1, 2, 3, 4]
    same = (episodes.task_id == 2).nonzero()[:2, 0]
    assert torch.equal(*episodes.tasks.permutation[same]) and not torch.equal(*episodes.index[same])


def test_one_off_tasks_have_no_id_and_never_return_in_the_other_split():
    train, test = (
        TaskDistribution("Digits", split=split, route="matrix").sample(2).tasks for split in ("train", "test")
    )
    assert train.ids.tolist() == [-1, -1]
    words = train.streams.words(4), test.streams.words(4)
    assert not torch.equal(*words)


def test_numbered_tasks_are_the_same_on_both_splits():
    one = np.zeros(1, np.uint64)
    matrices = []
    for split in ("train", "test"):
        tasks = TaskDistribution("Digits", split=split, n_tasks=4)
        matrices.append(tasks.projections(tasks.episodes(one, one, task_ids=torch.tensor([3])).tasks))
    assert torch.equal(*matrices)


def test_task_ids_must_exist():
    number = np.zeros(1, np.uint64)
    with pytest.raises(ValueError, match="0 … 4"):
        TaskDistribution("Digits", n_tasks=5).episodes(number, number, task_ids=torch.tensor([5]))
    with pytest.raises(ValueError, match="one-off tasks have no ids"):
        TaskDistribution("Digits").episodes(number, number, task_ids=torch.tensor([0]))


@pytest.mark.parametrize("arguments", EVERY_KIND + EVERY_VARIANT, ids=str)
def test_a_pickle_holds_the_arguments_and_gives_the_same_episodes(arguments: dict):
    tasks = TaskDistribution(**({"dataset": "MNIST", "length": 20} | arguments))
    episodes = tasks.sample(2)  # fills what is kept beside the arguments
    content = pickle.dumps(tasks)
    again = pickle.loads(content)
    assert len(content) < 2000 and again.arguments == tasks.arguments and torch.equal(again.sample(2).x, episodes.x)


def test_a_drifting_task_changes_both_and_its_hidden_task_follows():
    import gymnasium

    env = gymnasium.make("GPICL-Digits-v0", n_features=16, length=9, drift_every=3, n_tasks=5).unwrapped
    env.reset(seed=0)
    seen = []
    for n in range(9):
        image = env.tasks.images(env.episode.index[0, n])
        expected = torch.from_numpy(env.task.projection) @ image
        assert torch.allclose(env.episode.x[0, n], expected, atol=1e-4)
        seen.append(tuple(env.task.permutation))
        env.step(0)
    assert len(set(seen)) == 3 and all(len(set(seen[i : i + 3])) == 1 for i in (0, 3, 6))


def test_memory_does_not_grow_with_the_number_of_tasks():
    few, many = (TaskDistribution("Digits", n_tasks=n) for n in (2**4, 2**24))
    size = lambda tasks: sum(v.numel() for v in vars(tasks).values() if isinstance(v, torch.Tensor))  # noqa: E731
    assert size(few) == size(many) and int(many.sample(64).task_id.max()) > 2**20


@pytest.mark.parametrize("make", [tasks_of, FunctionDistribution])
def test_a_task_returns_after_two_segments_or_says_why_not(make: type):
    message = r"drift='return' needs three segments, but length=20 with drift_every=10 has 2: give a length above 20"
    with pytest.raises(ValueError, match=message):
        make(length=20, drift_every=10, drift="return")
    with pytest.raises(ValueError, match="drift='return' sets what changes, but not when: give drift_every too"):
        make(length=20, drift="return")
    tasks = make(length=21, drift_every=10, drift="return")
    assert [tasks.version(segment) for segment in range(4)] == [0, 1, 0, 1]
    assert tasks.version(tasks.segment_of(np.array([0, 9, 10, 20]))).tolist() == [0, 0, 1, 0]
