"""Inputs: both routes of a projection, its drift, and distractors."""

import numpy as np
import pytest
import torch
from scipy.stats import chi2, ks_2samp
from small_tasks import base_labels, tasks_of

from gpicl_envs.datasets import Dataset, load_dataset
from gpicl_envs.sampling.inputs import PIECE_BYTES, PROJECTIONS, ROUTES, Projection, _cholesky, choose_route
from gpicl_envs.tasks.classification import TaskDistribution

EQUAL = Dataset("equal", {"train": np.tile(np.eye(2, dtype=np.uint8), (9, 1, 1))}, {"train": np.arange(9) % 3}, 3)


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


def test_one_image_is_a_copy_of_the_data():
    """Normalising a view would change the dataset: a picture of an episode then changed all later episodes."""
    tasks = tasks_of(dataset="Clusters")
    before, index = load_dataset("Clusters").x["train"].copy(), torch.arange(3)
    one, several = tasks.images(index[1]), tasks.images(index)
    assert torch.equal(one, several[1]) and torch.equal(tasks.images(index), several)
    assert (load_dataset("Clusters").x["train"] == before).all()


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


def test_inputs_that_become_equal_are_refused():
    with pytest.raises(ValueError, match="The inputs of equal have mean .* cannot be normalised"):
        TaskDistribution(EQUAL, image_size=1, n_classes=3, length=4)


def matrix_of(tasks: TaskDistribution, batch: int = 1) -> torch.Tensor:
    matrices = tasks.projections(tasks.sample(batch).tasks)
    assert matrices is not None
    return matrices


def test_entries_of_the_matrix_have_variance_one_over_n_inputs():
    """Chi-square: n s² / σ² with n = D·N_x."""
    a = matrix_of(TaskDistribution("MNIST", n_tasks=2**24)).double()
    statistic = (a.square().sum() * 784).item()
    low, high = chi2.ppf([1e-4, 1 - 1e-4], a.numel())
    assert low < statistic < high


def test_inputs_are_the_matrix_times_the_normalised_images():
    skewed = {"n_tasks": 9, "x_spectrum": "skewed"}
    for arguments in ({"n_tasks": 9}, {"route": "matrix"}, {"projection": "orthogonal", "n_tasks": 9}, skewed):
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


@pytest.mark.parametrize("arguments", [{"n_tasks": 4}, {"route": "matrix"}, {"projection": "orthogonal", "n_tasks": 3}])
def test_the_first_task_returns_after_another(arguments: dict):
    tasks = tasks_of(length=47, drift_every=13, drift="return", **arguments)
    episodes = tasks.sample(4)
    base = tasks.images(episodes.index)
    for segment, at in enumerate(tasks.segments()):
        a = tasks.projections(episodes.tasks, np.full(4, segment))
        assert torch.allclose(base[:, at] @ a.mT, episodes.x[:, at], atol=1e-4)
        rho = episodes.tasks.permutation[:, segment]
        shown = base_labels(tasks, episodes)[:, at]
        assert torch.equal(rho.gather(1, shown), episodes.y[:, at])
        first = tasks.projections(episodes.tasks)
        assert torch.equal(a, first) == (segment % 2 == 0)
        assert torch.equal(rho, episodes.tasks.permutation[:, 0]) == (segment % 2 == 0)


def test_the_cholesky_route_remembers_the_projection_that_returns():
    tasks = TaskDistribution("MNIST", length=30, drift_every=10, drift="return", n_features=784)
    assert tasks.route == "cholesky"
    episodes = tasks.sample(200)
    wanted = tasks.images(episodes.index)
    wanted = wanted @ wanted.mT / 784
    found = episodes.x @ episodes.x.mT / 784
    a = torch.tensor([*range(10), *range(20, 30)])
    slope = (found * wanted)[:, a][:, :, a].sum() / wanted.square()[:, a][:, :, a].sum()
    assert slope.item() == pytest.approx(1, abs=0.02)
    across = (found * wanted)[:, a][:, :, 10:20].sum() / wanted.square()[:, a][:, :, 10:20].sum()
    assert abs(across.item()) < 0.02


@pytest.mark.parametrize(
    ("arguments", "route"),
    [
        (("auto", "gaussian", True, 63, 64), "cholesky"),
        (("auto", "gaussian", True, 64, 64), "matrix"),
        (("auto", "orthogonal", True, 65, 64), "matrix"),
        (("matrix", "gaussian", True, 3, 64), "matrix"),
        (("cholesky", "orthogonal", True, 64, 64), "cholesky"),
        (("cholesky", "gaussian", True, 65, 64), "needs length <= N_x: the covariance of 65 inputs of 64 values"),
        (("auto", "gaussian", False, 3, 64), "matrix"),
        (("auto", "none", True, 3, 64), "matrix"),
        (("cholesky", "gaussian", False, 3, 64), "given projection='gaussian' and a finite n_tasks"),
        (("cholesky", "none", True, 3, 64), r"given projection='none'\.$"),
        (("fast", "none", True, 3, 64), "Unknown route 'fast'"),
    ],
)
def test_the_route_that_draws_fewer_numbers_is_chosen_or_what_is_wrong_is_said(arguments: tuple, route: str):
    if route in ("matrix", "cholesky"):
        assert choose_route(*arguments) == route
        return
    with pytest.raises(ValueError, match=route):
        choose_route(*arguments)


@pytest.mark.parametrize(("d", "n_inputs"), [(5, 9), (9, 5), (7, 7)])
def test_as_many_numbers_are_drawn_as_a_projection_needs(d: int, n_inputs: int):
    """And an orthogonal A has orthogonal rows or columns of the length that entries of variance 1/N_x have."""
    shapes = {(k, r): Projection(k, d, n_inputs, r).noise_shape(3) for k in PROJECTIONS[:2] for r in ROUTES[1:]}
    large = max(d, n_inputs)
    assert shapes["gaussian", "cholesky"] == (3, d) and shapes["gaussian", "matrix"] == (d, n_inputs)
    assert shapes["orthogonal", "cholesky"] == (3, large)
    assert shapes["orthogonal", "matrix"] == (large, min(d, n_inputs))
    noise = torch.randn(2, *shapes["orthogonal", "matrix"], generator=torch.Generator().manual_seed(0))
    a = Projection("orthogonal", d, n_inputs, "matrix").matrices(noise)
    product = a.mT @ a if d >= n_inputs else a @ a.mT
    scale = d / n_inputs if d >= n_inputs else 1.0
    assert a.shape == (2, d, n_inputs) and torch.allclose(product, scale * torch.eye(min(d, n_inputs)), atol=1e-5)


def test_episodes_do_not_depend_on_the_size_of_the_pieces(monkeypatch: pytest.MonkeyPatch):
    for arguments in ({}, {"n_tasks": 3}, {"n_features": 40, "distractors": 8, "n_tasks": 3}):
        tasks = tasks_of(**arguments)
        whole = tasks.sample(5).x
        with monkeypatch.context() as patch:
            patch.setitem(PIECE_BYTES, "cpu", 1)
            assert torch.allclose(tasks.sample(5).x, whole, atol=1e-5)


def test_a_factor_has_no_more_jitter_than_it_needs():
    """The first of two covariances is whole; the second, singular, is changed by a few millionths of its diagonal."""
    whole, singular = torch.tensor([[4.0, 2.0], [2.0, 3.0]]), torch.full((2, 2), 9.0)
    factor = _cholesky(torch.stack([whole, singular]))
    assert torch.equal(factor[0], torch.linalg.cholesky(whole))
    changed = (factor[1] @ factor[1].mT - singular).abs()
    assert factor.isfinite().all() and 0 <= changed.max() < 2e-4


def test_features_that_do_not_fit_without_a_projection_are_counted():
    with pytest.raises(ValueError, match="n_features=70 with distractors=5 leaves 65 features: give n_features=69"):
        tasks_of(projection="none", n_features=70, distractors=5)


def test_projections_outlast_a_drift_of_labels_alone():
    tasks = tasks_of(drift="labels", drift_every=10, length=30, n_tasks=3)
    drawn = tasks.sample(4).tasks
    assert torch.equal(tasks.projections(drawn, np.full(4, 2)), tasks.projections(drawn))
