import hashlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.stats import chi2, ks_2samp

from gpicl_envs.datasets import Dataset, load_dataset
from gpicl_envs.sampling import substreams
from gpicl_envs.tasks.classification import TaskDistribution

EVERY_KIND = [
    {},
    {"n_tasks": 1000},
    {"route": "matrix"},
    {"projection": "orthogonal"},
    {"projection": "orthogonal", "route": "matrix", "n_features": 32},
    {"projection": "none"},
    {"n_classes": 4},
    {"dataset": "Random"},
    {"dataset": "Digits", "length": 700},
    {"dataset": "Clusters", "permutation_bias": 0.5},
]

EVERY_VARIANT = [
    {"label_noise": 0.3},
    {"class_imbalance": 9.0},
    {"dataset": "Digits", "class_imbalance": 9.0, "length": 90},
    {"drift_every": 6},
    {"drift_every": 6, "n_tasks": 100, "permutation_bias": 0.5},
    {"distractors": 30, "route": "matrix"},
    {"n_classes": 4, "shots": 3},
]


def matrix_of(tasks: TaskDistribution, batch: int = 1) -> torch.Tensor:
    matrices = tasks.projections(tasks.sample(batch).tasks)
    assert matrices is not None
    return matrices


# -- The projection ----------------------------------------------------------------------------------------------------


def test_entries_of_the_matrix_have_variance_one_over_n_inputs():
    """Chi-square: n s² / σ² with n = D·N_x."""
    a = matrix_of(TaskDistribution("MNIST", n_tasks=2**24)).double()
    statistic = (a.square().sum() * 784).item()
    low, high = chi2.ppf([1e-4, 1 - 1e-4], a.numel())
    assert low < statistic < high


def test_inputs_are_the_matrix_times_the_normalised_images():
    for arguments in ({"n_tasks": 9}, {"route": "matrix"}, {"projection": "orthogonal", "n_tasks": 9}):
        tasks = TaskDistribution("MNIST", length=8, **arguments)
        episodes = tasks.sample(3)
        expected = tasks.images(episodes.index) @ tasks.projections(episodes.tasks).mT
        assert torch.allclose(episodes.x, expected, atol=1e-4)


def test_images_are_normalised_over_the_whole_dataset():
    tasks = TaskDistribution("MNIST")
    pixels = torch.cat(
        [tasks.images(torch.arange(60_000)), TaskDistribution("MNIST", split="test").images(torch.arange(10_000))]
    )
    assert pixels.mean().item() == pytest.approx(0, abs=1e-3) and pixels.std().item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("projection", ["gaussian", "orthogonal"])
def test_both_routes_have_the_same_distribution(projection: str):
    """Kolmogorov–Smirnov on squared lengths and inner products of the first examples, in units of the images' own."""
    samples = {}
    for route in ("matrix", "cholesky"):
        tasks = TaskDistribution("MNIST", length=4, n_features=48, image_size=8, projection=projection, route=route)
        episodes = tasks.sample(3000, seed=1)  # the same images in both
        images = tasks.images(episodes.index)
        products = torch.bmm(episodes.x, episodes.x.mT) / 48
        expected = torch.bmm(images, images.mT) / 64
        scale = (expected[:, 0, 0] * expected[:, 1, 1]).sqrt()
        single = episodes.x[:, 0, 7] / expected[:, 0, 0].sqrt()
        errors = (products - expected)[:, 0, 0] / scale, (products - expected)[:, 0, 1] / scale, single
        samples[route] = [error.numpy() for error in errors]
    for by_matrix, by_cholesky in zip(*samples.values(), strict=True):
        assert ks_2samp(by_matrix, by_cholesky).pvalue > 1e-3
        assert abs(by_matrix.mean()) < 5 * by_matrix.std() / 3000**0.5


def test_a_square_orthogonal_projection_keeps_all_inner_products():
    for route in ("matrix", "cholesky"):
        tasks = TaskDistribution("MNIST", length=10, projection="orthogonal", route=route)
        episodes = tasks.sample(2)
        images = tasks.images(episodes.index)
        assert torch.allclose(episodes.x @ episodes.x.mT, images @ images.mT, rtol=1e-3, atol=0.5)


def test_no_projection_shows_the_images():
    tasks = TaskDistribution("Digits", n_features=64, projection="none")
    episodes = tasks.sample(2)
    assert torch.equal(episodes.x, tasks.images(episodes.index))


def test_equal_inputs_survive_the_cholesky_route():
    episodes = TaskDistribution("Random", route="cholesky").sample(4)
    assert episodes.x.isfinite().all()
    for x, index in zip(episodes.x, episodes.index, strict=True):
        same = index[:, None] == index[None]
        distance = torch.cdist(x, x)
        assert same.sum() > 100 and distance[same].max() < 0.1 and distance[~same].min() > 10


def test_identical_images_of_a_user_survive_the_cholesky_route():
    x = np.repeat(np.random.default_rng(0).normal(size=(5, 200)).astype(np.float32), 40, axis=0)
    twins = Dataset("twins", {"train": x}, {"train": np.arange(200) % 3}, n_classes=3)
    episodes = TaskDistribution(twins, n_classes=3, length=60, route="cholesky").sample(8)
    assert episodes.x.isfinite().all() and episodes.x.std().item() == pytest.approx(1, abs=0.2)


# -- Tasks and their ids -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", EVERY_KIND + EVERY_VARIANT, ids=str)
def test_an_episode_does_not_depend_on_batch_size_or_order(arguments: dict):
    tasks = TaskDistribution(**({"dataset": "MNIST", "length": 20} | arguments))
    together = tasks.sample(6, seed=3)
    numbers = np.array([4, 0], np.uint64)
    apart = tasks.episodes(np.full(2, 3, np.uint64), numbers)
    for i, number in enumerate([4, 0]):
        assert torch.equal(apart.y[i], together.y[number]) and torch.equal(apart.index[i], together.index[number])
        assert torch.allclose(apart.x[i], together.x[number], atol=1e-5)


@pytest.mark.parametrize("arguments", EVERY_KIND, ids=str)
def test_labels_follow_the_hidden_task(arguments: dict):
    tasks = TaskDistribution(**({"dataset": "MNIST", "length": 20} | arguments))
    episodes = tasks.sample(5)
    base_labels = torch.from_numpy(tasks.dataset.y[tasks.split])[episodes.index]
    for b in range(5):
        of_class = {int(c): int(episodes.tasks.permutation[b, 0, k]) for k, c in enumerate(episodes.tasks.classes[b])}
        assert [of_class[int(label)] for label in base_labels[b]] == episodes.y[b].tolist()
        assert sorted(episodes.tasks.permutation[b, 0].tolist()) == list(range(tasks.n_classes))


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


def test_every_kind_of_stream_has_a_purpose_of_its_own():
    both = TaskDistribution("Digits"), TaskDistribution("Digits", split="test")
    purposes = [tasks._purpose(kind) for tasks in both for kind in (substreams.ONE_OFF_TASK, substreams.EPISODE)]
    purposes += [substreams.FIXED_TASK, substreams.SHARED]
    assert len(set(purposes)) == len(purposes)


def test_numbered_tasks_are_the_same_on_both_splits():
    one = np.zeros(1, np.uint64)
    matrices = []
    for split in ("train", "test"):
        tasks = TaskDistribution("Digits", split=split, n_tasks=4)
        matrices.append(tasks.projections(tasks.episodes(one, one, task_ids=torch.tensor([3])).tasks))
    assert torch.equal(*matrices)


# -- Examples and labels -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [100, 797])
def test_examples_are_distinct_and_uniform(length: int):
    episodes = TaskDistribution("Digits", split="test", length=length, n_features=8).sample(400)
    assert all(len(row.unique()) == length for row in episodes.index)
    counts = episodes.index.flatten().bincount(minlength=797).double()
    expected = 400 * length / 797
    spread = max(expected * (1 - length / 797), 1e-9)
    assert ((counts - expected) ** 2 / spread).sum() < chi2.ppf(1 - 1e-4, 797)


def test_every_permutation_of_three_labels_is_equally_likely():
    y = TaskDistribution("Digits", n_classes=3, n_features=4, length=1).sample(6000).tasks.permutation[:, 0]
    counts = (y @ torch.tensor([9, 3, 1])).unique(return_counts=True)[1].double()
    assert len(counts) == 6 and ((counts - 1000) ** 2 / 1000).sum() < 25


def test_drawn_classes_are_all_of_the_dataset_in_turn():
    classes = TaskDistribution("Digits", n_classes=3, n_features=4, length=1).sample(500).tasks.classes
    assert all(len(row.unique()) == 3 for row in classes) and len(classes.unique()) == 10


def test_labels_may_stay_as_they_are():
    tasks = TaskDistribution("Digits", permute_labels=False)
    episodes = tasks.sample(2)
    assert torch.equal(episodes.y, torch.from_numpy(load_dataset("Digits").y["train"])[episodes.index])


def test_permutation_bias_is_the_share_of_the_fixed_permutation():
    permutation = TaskDistribution("Digits", permutation_bias=0.8, n_features=4).sample(2000).tasks.permutation[:, 0]
    rows, counts = permutation.unique(dim=0, return_counts=True)
    assert counts.max() / 2000 == pytest.approx(0.8, abs=0.04)
    fixed = rows[counts.argmax()]
    again = TaskDistribution("Digits", permutation_bias=1.0, n_features=4).sample(3, seed=5).tasks.permutation
    assert (again == fixed).all()


# -- Bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_features": 0}, "n_features=0 is not allowed: give a whole number of at least 1"),
        ({"n_features": 7.5}, "n_features=7.5 is not allowed"),
        (
            {"length": 60_001},
            r"length=60001 is not allowed: give a whole number from 1 to 60000 \(the train split of MNIST\)",
        ),
        ({"length": 0}, "length=0"),
        ({"n_classes": 11}, r"from 2 to 10 \(MNIST has no more\)"),
        ({"n_classes": 2, "length": 12_000}, "length=12000"),
        ({"n_tasks": 0}, "n_tasks=0"),
        ({"split": "tset"}, "Unknown split of MNIST 'tset'. Did you mean 'test'"),
        ({"projection": "gauss"}, "Did you mean 'gaussian'"),
        ({"permutation_bias": 1.5}, "permutation_bias=1.5 is not allowed: give a number from 0 to 1"),
        ({"projection": "none", "n_features": 64}, "give n_features=784"),
        ({"route": "cholesky", "n_tasks": 4}, "needs n_tasks=None"),
        ({"image_size": 0}, "image_size=0"),
        ({"dataset": "Digits", "route": "cholesky", "length": 100}, "needs length <= N_x"),
        ({"device": "cuda:99"}, "device='cuda:99' cannot be used here .*give 'cpu'"),
        ({"device": "gpu"}, "device='gpu' cannot be used here"),
        ({"dataset": "MNITS"}, "Did you mean 'MNIST'"),
    ],
    ids=str,
)
def test_bad_arguments_say_what_is_allowed(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        TaskDistribution(**arguments)


def test_task_ids_must_exist():
    number = np.zeros(1, np.uint64)
    with pytest.raises(ValueError, match="0 … 4"):
        TaskDistribution("Digits", n_tasks=5).episodes(number, number, task_ids=torch.tensor([5]))
    with pytest.raises(ValueError, match="one-off tasks have no ids"):
        TaskDistribution("Digits").episodes(number, number, task_ids=torch.tensor([0]))


@pytest.mark.gpu
@pytest.mark.parametrize("arguments", EVERY_KIND + EVERY_VARIANT, ids=str)
def test_episodes_are_the_same_on_a_gpu(arguments: dict):
    here, there = (
        TaskDistribution(**({"dataset": "MNIST", "length": 20} | arguments), device=device).sample(4)
        for device in ("cpu", "cuda")
    )
    assert torch.equal(here.y, there.y.cpu()) and torch.equal(here.index, there.index.cpu())
    assert torch.allclose(here.x, there.x.cpu(), atol=1e-3)


@pytest.mark.parametrize("arguments", EVERY_KIND + EVERY_VARIANT, ids=str)
def test_a_pickle_holds_the_arguments_and_gives_the_same_episodes(arguments: dict):
    tasks = TaskDistribution(**({"dataset": "MNIST", "length": 20} | arguments))
    episodes = tasks.sample(2)  # fills what is kept beside the arguments
    content = pickle.dumps(tasks)
    again = pickle.loads(content)
    assert len(content) < 2000 and again.arguments == tasks.arguments and torch.equal(again.sample(2).x, episodes.x)
