"""The prior over synthetic tables: its frequencies are those of its docstring, its episodes functions of their name."""

import pickle

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from sklearn.ensemble import RandomForestClassifier
from small_tasks import make, make_vec

from gpicl_envs import TableDistribution, evaluate, make_learner
from gpicl_envs.sampling.teachers import KINDS

ENV_ID = "GPICL-SyntheticTables-v0"
EVERY_FORM = [{}, {"n_tasks": 9}, {"n_classes": 1}, {"n_classes": 3, "n_features": 20}, {"active_classes": 4}]


def tasks_of(**arguments) -> TableDistribution:
    return TableDistribution(**({"length": 12, "n_features": 70} | arguments))


def chi_square(observed: np.ndarray, probability: np.ndarray) -> float:
    """The p-value of counts, those with a small expectation taken together."""
    expected = probability * observed.sum()
    rare = expected < 20
    if rare.any():
        observed = np.append(observed[~rare], observed[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    return chisquare(observed, expected).pvalue


# -- Frequencies -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many() -> TableDistribution:
    return TableDistribution(length=2, n_features=64)


@pytest.fixture(scope="module")
def hidden(many: TableDistribution) -> dict[str, np.ndarray]:
    task = many.hidden(many.sample(3000, seed=1), np.zeros(3000, np.int64))
    assert task.parameters is not None
    return {name: value.numpy() for name, value in task.parameters.items()}


def test_the_five_rules_are_equally_frequent(hidden: dict[str, np.ndarray]):
    assert chi_square(np.bincount(hidden["kind"], minlength=5), np.full(5, 0.2)) > 1e-3


def test_the_number_of_columns_is_log_uniform(hidden: dict[str, np.ndarray]):
    """P(columns ≤ c) = log((c + 1) / 2) / log(65 / 2)."""
    below = np.log(np.arange(2, 66) / 2) / np.log(65 / 2)
    assert chi_square(np.bincount(hidden["n_columns"], minlength=65)[2:], np.diff(np.append(below, 1))[:63]) > 1e-3


def test_factors_are_log_uniform_up_to_the_columns(hidden: dict[str, np.ndarray]):
    assert (1 <= hidden["n_factors"]).all() and (hidden["n_factors"] <= hidden["n_columns"]).all()
    expected = np.log(2) / np.log(hidden["n_columns"] + 1)  # of one factor
    found = hidden["n_factors"] == 1
    assert abs((found - expected).sum()) < 4 * np.sqrt((expected * (1 - expected)).sum())


def test_two_classes_have_the_extra_frequency(hidden: dict[str, np.ndarray]):
    expected = np.full(9, 0.6 / 9)
    expected[0] += 0.4
    assert chi_square(np.bincount(hidden["n_active"], minlength=11)[2:], expected) > 1e-3


def test_active_classes_bound_the_labels():
    tasks = tasks_of(active_classes=(3, 5), length=200)
    episodes = tasks.sample(200)
    active = tasks.hidden(episodes, np.zeros(200, np.int64)).active
    assert chi_square(np.bincount(active.sum(1), minlength=6)[3:], np.array([0.6, 0.2, 0.2])) > 1e-3
    slots = episodes.tasks.slots
    for b in range(200):
        assert set(episodes.y[b].tolist()) <= set(slots[b, active[b]].tolist())
    assert {int(label) for label in episodes.y.unique()} == set(range(10))  # at random places


def test_half_of_the_tables_are_on_axes():
    x = TableDistribution(length=40).sample(300).x
    is_axes = ((x != 0).any(1).sum(1) <= 64).sum().item()
    assert 150 - 4 * 8.7 < is_axes < 150 + 4 * 8.7


def test_inputs_have_the_size_of_those_of_other_environments():
    x = TableDistribution(length=200).sample(200).x
    assert x.square().sum(2).mean().item() == pytest.approx(784, rel=0.05)


def test_values_are_standardised_and_of_four_rules():
    tasks = tasks_of(n_classes=1, length=50)
    episodes = tasks.sample(100)
    assert episodes.y.dtype == torch.float32 and episodes.y.shape == (100, 50)
    assert torch.allclose(episodes.y.mean(1), torch.zeros(100), atol=1e-5)
    constant = (episodes.y == 0).all(1)  # where all rows reach one leaf of a tree
    assert constant.sum() < 5 and torch.allclose(episodes.y.square().mean(1), 1.0 - constant.float(), atol=1e-3)
    assert set(episodes.tasks.kind.tolist()) == set(range(len(KINDS) - 1))


# -- What can be learned -----------------------------------------------------------------------------------------------


def test_tables_can_be_learned_from_rows():
    """Baselines are far above the most frequent class; the forest of scikit-learn is, too."""
    tasks = tasks_of(length=100, split="test")
    found = {
        name: evaluate(make_learner(name, n_features=70), tasks, episodes=100).scores[:, -20:].mean()
        for name in ("majority", "kernel-ridge", "knn")
    }
    assert found["kernel-ridge"] > found["majority"] + 0.1 and found["knn"] > found["majority"] + 0.05
    episodes = tasks.sample(30)
    forest = [
        RandomForestClassifier(30, random_state=0).fit(x[:80], y[:80]).score(x[80:], y[80:])
        for x, y in zip(episodes.x.numpy(), episodes.y.numpy(), strict=True)
    ]
    assert np.mean(forest) > found["majority"] + 0.1


def test_values_can_be_learned_from_rows():
    tasks = tasks_of(n_classes=1, length=100, split="test")
    curve = evaluate(make_learner("kernel-ridge", n_features=70, n_classes=1), tasks, episodes=100)
    assert curve.scores[:, :5].mean() > 0.9 > 0.75 > curve.scores[:, -20:].mean()


# -- Functions of the seed and number ----------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", EVERY_FORM, ids=str)
def test_an_episode_does_not_depend_on_the_batch(arguments: dict):
    tasks = tasks_of(**arguments)
    together = tasks.sample(8, seed=3)
    for first, size in ((0, 1), (2, 3), (7, 1)):
        alone = tasks.sample(size, seed=3, first=first)
        rows = slice(first, first + size)
        assert torch.allclose(alone.x, together.x[rows], atol=1e-4)
        assert torch.allclose(alone.y.float(), together.y[rows].float(), atol=1e-4)
    assert not torch.equal(tasks.sample(8, seed=4).y, together.y)


def test_a_numbered_task_is_the_same_in_every_episode():
    tasks = tasks_of(n_tasks=1 << 20)
    zeros, ids = np.zeros(1, np.uint64), torch.tensor([77])
    one, other = (tasks.episodes(zeros + np.uint64(seed), zeros, task_ids=ids) for seed in (1, 2))
    for name in ("kind", "n_columns", "n_factors", "n_active", "slots"):
        assert torch.equal(getattr(one.tasks, name), getattr(other.tasks, name))
    assert one.task_id.item() == 77 and not torch.equal(one.x, other.x)


def test_splits_share_nothing_and_unseen_is_of_the_other():
    tasks = tasks_of(n_tasks=5, active_classes=(2, 4))
    unseen = tasks.unseen()
    assert unseen.arguments == tasks.arguments | {"n_tasks": None, "split": "test"}
    assert not torch.equal(unseen.sample(3).x, tasks_of(active_classes=(2, 4)).sample(3).x)
    assert tasks_of(n_classes=1).unseen().n_classes == 1


@pytest.mark.parametrize("arguments", EVERY_FORM, ids=str)
def test_arguments_and_pickles_make_the_same_distribution(arguments: dict):
    tasks = tasks_of(**arguments)
    expected = tasks.sample(2, seed=5)
    for again in (TableDistribution(**tasks.arguments), pickle.loads(pickle.dumps(tasks))):
        assert again.arguments == tasks.arguments
        assert torch.equal(again.sample(2, seed=5).x, expected.x) and torch.equal(again.sample(2, seed=5).y, expected.y)


@pytest.mark.parametrize("arguments", [{}, {"n_classes": 1}], ids=str)
def test_a_single_environment_is_the_row_of_its_seed(arguments: dict):
    batch, single = make_vec(ENV_ID, **arguments), make(ENV_ID, **arguments)
    shown, _ = batch.reset(seed=4)
    alone, _ = single.reset(seed=6)
    for _ in range(6):
        assert np.allclose(alone["x"], shown["x"][2], atol=1e-4)
        assert np.allclose(alone["y"], shown["y"][2], atol=1e-4)
        shown = batch.step(torch.zeros(batch.action_space.shape, dtype=torch.int64))[0]
        alone = single.step(0 if not arguments else np.zeros(1))[0]


# -- Errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prior": "Tables"}, "Unknown prior 'Tables'.*Valid: SyntheticTables"),
        ({"length": 1}, "length=1.*columns are standardised over the episode"),
        ({"n_features": 1}, "n_features=1"),
        ({"active_classes": (1, 4)}, "active_classes=1"),
        ({"active_classes": (4, 2)}, "give one number, or \\(low, high\\)"),
        ({"active_classes": (2, 11)}, "active_classes=11.*10"),
        ({"active_classes": (2, 4), "n_classes": 1}, "is for labels"),
        ({"split": "validation"}, "Unknown split"),
        ({"n_tasks": 0}, "n_tasks=0"),
        ({"label_noise": 0.1}, "unexpected keyword argument 'label_noise': it is one of TaskDistribution alone"),
        ({"dataset": "Digits"}, "name 2 kinds of tasks"),
    ],
    ids=str,
)
def test_bad_arguments_say_what_is_allowed(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        make_vec(ENV_ID, **arguments)
