"""Episodes of real tables: rows of the table and a query, stratified, prepared from the rows alone."""

import pickle

import numpy as np
import pytest
import torch
from small_tasks import make_vec

from gpicl_envs import evaluate, make_learner
from gpicl_envs.sampling.columns import LARGEST
from gpicl_envs.tasks.real_tables import RealTableDistribution


def tasks_of(**arguments) -> RealTableDistribution:
    return RealTableDistribution(**({"table": "wine", "length": 41, "queries": 5, "n_features": 30} | arguments))


def test_the_queries_of_a_draw_share_its_rows_and_no_row_is_shown_twice():
    episodes = tasks_of().sample(10, seed=3)
    assert episodes.task_id.tolist() == 5 * [0] + 5 * [1]
    for first in (0, 5):
        assert (episodes.index[first : first + 5, :-1] == episodes.index[first, :-1]).all()
        assert torch.equal(episodes.x[first, :-1], episodes.x[first + 4, :-1])
        shown = [*episodes.index[first, :-1].tolist(), *episodes.index[first : first + 5, -1].tolist()]
        assert len(set(shown)) == 45
    assert not torch.equal(episodes.index[0, :-1], episodes.index[5, :-1])


def test_rows_and_queries_have_each_class_in_proportion():
    tasks = RealTableDistribution("breast-cancer", length=101, queries=60)
    count = np.bincount(tasks.dataset.split("train")[1])
    labels = tasks.dataset.split("train")[1][tasks.sample(240, seed=1).index]
    for draw in range(4):
        rows, asked = labels[60 * draw, :-1], labels[60 * draw : 60 * (draw + 1), -1]
        assert np.abs(np.bincount(rows) - 100 * count / count.sum()).max() <= 1
        assert np.abs(np.bincount(asked) - 60 * count / count.sum()).max() <= 2


def test_every_row_is_as_likely_as_another():
    tasks = tasks_of(length=11, queries=1)
    seen = np.bincount(tasks.sample(4000, seed=2).index[:, -1], minlength=178)
    by_class = tasks.dataset.split("train")[1]
    for label in range(3):
        mine = seen[by_class == label]
        assert ((mine - mine.mean()) ** 2 / mine.mean()).sum() < len(mine) + 4 * (2 * len(mine)) ** 0.5  # χ²
    order = tasks.sample(4000, seed=2).y[:, :-1]
    assert abs((order[:, 0] == order[:, 1]).float().mean() - (order[:, 0] == order[:, 9]).float().mean()) < 0.05


def test_an_input_is_the_standardised_row_at_the_places_of_its_columns():
    tasks = tasks_of()
    episodes = tasks.sample(2, seed=4)
    task = tasks.hidden(episodes, np.zeros(2, np.int64))
    rows = tasks.dataset.split("train")[0][episodes.index[1]].astype(np.float64)
    expected = ((rows - rows[:-1].mean(0)) / rows[:-1].std(0)).clip(-LARGEST, LARGEST)
    expected = expected * task.parameters["signs"][1].numpy() * (30 / 13) ** 0.5
    places = task.parameters["places"][1].numpy()
    np.testing.assert_allclose(episodes.x[1].numpy()[:, places], expected, atol=1e-5)
    assert (np.delete(episodes.x[1].numpy(), places, axis=1) == 0).all()
    assert (episodes.y[1] == task.permutation[1][tasks.dataset.split("train")[1][episodes.index[1]]]).all()
    assert len(set(task.permutation[1].tolist())) == 3
    np.testing.assert_array_equal(tasks.base_input(episodes, 1, 7), rows[7].astype(np.float32))


def test_episodes_are_functions_of_their_name():
    tasks, other = tasks_of(), pickle.loads(pickle.dumps(tasks_of()))
    whole = tasks.sample(12, seed=7)
    for first, count in ((0, 3), (3, 9)):
        part = other.sample(count, seed=7, first=first)
        assert torch.equal(part.x, whole.x[first : first + count]) and torch.equal(
            part.y, whole.y[first : first + count]
        )
    assert not torch.equal(tasks_of(split="test").sample(1, seed=7).index, whole.index[:1])
    venv = make_vec("GPICL-RealTable-v0", num_envs=2, table="wine", length=41, queries=5, n_features=30)
    venv.reset(seed=7)
    assert torch.equal(venv.unwrapped.sample_episodes(3).x[0], whole.x[3])


def test_intervals_are_over_the_draws():
    """One-nearest-neighbour reads a table well, and its record says which queries shared their rows."""
    tasks = RealTableDistribution("wine", split="test", length=61, queries=8)
    record = evaluate(make_learner("knn"), tasks, episodes=128, final_positions=1, protocol="unseen-dataset").record()
    assert record.final.low > 0.85 and record.task_id == [number // 8 for number in range(128)]
    assert record.env_kwargs["table"] == "wine" and record.data == tasks.fingerprint


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 178}, "length=178 is not allowed: give a whole number from 3 to 177"),
        ({"queries": 139}, "queries=139 .* from 1 to 138 .so many of the 178 rows"),
        ({"n_features": 12}, "n_features=12 .* at least 13 .the columns of wine"),
        ({"n_classes": 2}, "n_classes=2 .* at least 3 .the classes of wine"),
        ({"table": "whine"}, "Unknown table 'whine'. Did you mean 'wine'"),
    ],
)
def test_what_a_table_does_not_have_is_refused(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        tasks_of(**arguments)
