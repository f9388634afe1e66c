"""The rules against slow, plain versions of what their docstrings say."""

import numpy as np
import pytest
import torch

from gpicl_envs.sampling import teachers
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.teachers import DEPTH, KINDS, Draws, class_scores, standardised

B, N, F, K = 24, 60, 5, 3


def draws(first: int = 50, b: int = B) -> Draws:
    numbers = np.arange(b, dtype=np.uint64)
    return Draws(Streams(numbers, numbers, 1, torch.device("cpu")), first)


@pytest.fixture
def rows() -> torch.Tensor:
    return torch.randn(B, N, F, generator=torch.Generator().manual_seed(0))


def test_draws_are_a_function_of_the_order_of_calls():
    one, other = draws(), draws()
    first = one.normal(4), one.uniform(2, 3), one.between(2, 5), one.chance(0.5, 7), one.permutation(6)
    again = other.normal(4), other.uniform(2, 3), other.between(2, 5), other.chance(0.5, 7), other.permutation(6)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert [tuple(value.shape) for value in first] == [(B, 4), (B, 2, 3), (B, 1, 1), (B, 7), (B, 6)]
    assert not torch.equal(one.normal(4), first[0]) and one.substream == 56
    assert (first[2] >= 2).all() and (first[2] <= 5).all()


def test_chances_and_ranges_have_their_probability():
    draw = draws(b=4000)
    assert draw.chance(0.3).float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert draw.between(-1, 3).mean().item() == pytest.approx(1, abs=0.08)


def test_standardised_has_mean_0_and_variance_1_unless_it_is_constant(rows: torch.Tensor):
    rows[:, :, 1] = 3.7
    made = standardised(5 * rows + 2)
    assert torch.allclose(made.mean(1), torch.zeros(B, F), atol=1e-5)
    variance = made.square().mean(1)
    assert (made[:, :, 1] == 0).all() and torch.allclose(variance[:, [0, 2, 3, 4]], torch.ones(B, 4), atol=1e-4)


def test_each_table_gets_the_scores_of_its_own_rule(rows: torch.Tensor):
    """The same numbers as if all tables had that rule: no rule reads what another one drew."""
    n_columns = torch.full((B,), F)
    kind = torch.arange(B) % len(KINDS)
    mixed = class_scores(draws(), kind, rows, n_columns, K)
    assert mixed.shape == (B, N, K) and torch.allclose(mixed.mean(1), torch.zeros(B, K), atol=1e-5)
    for number in range(len(KINDS) - 1):
        alone = class_scores(draws(), torch.full((B,), number), rows, n_columns, K)
        assert torch.equal(mixed[kind == number], alone[kind == number])
    assert not torch.allclose(mixed[0], class_scores(draws(), kind + 1, rows, n_columns, K)[0], atol=0.1)


def test_a_linear_rule_is_linear(rows: torch.Tensor):
    scores = class_scores(draws(), torch.zeros(B, dtype=torch.int64), rows, torch.full((B,), F), K)
    inputs = torch.cat([rows, torch.ones(B, N, 1)], 2)
    fitted = inputs @ torch.linalg.lstsq(inputs, scores).solution
    assert torch.allclose(fitted, scores, atol=1e-4)


def test_a_prototype_rule_is_minus_the_squared_distance_to_the_nearest(rows: torch.Tensor):
    scores = teachers._prototypes(draws(), rows, torch.full((B,), F), K)
    prototypes = draws().normal(teachers.PROTOTYPES * K, F).view(B, teachers.PROTOTYPES, K, F)
    used = 1 + (teachers.PROTOTYPES * draws(51).uniform(1)[:, 0]).long()
    assert set(used.tolist()) == {1, 2, 3}
    for b in range(B):
        away = (rows[b, :, None, None] - prototypes[b, : used[b]]).square().sum(3)
        nearest = -away.min(1).values + rows[b].square().sum(1, keepdim=True)
        assert torch.allclose(scores[b], nearest, atol=1e-4)


def test_a_tree_has_at_most_as_many_values_as_leaves(rows: torch.Tensor):
    """One tree of depth d has up to 2^d leaves, and the sum of three more values."""
    draw = draws()
    depth = 2 + (4 * draw.uniform(1)[:, 0]).long()
    one = draw.chance(0.5)[:, 0, 0]
    values = teachers._trees(draws(), rows, torch.full((B,), F), K)
    counts = torch.tensor([len(values[b].unique(dim=0)) for b in range(B)])
    assert one.any() and not one.all() and set(depth.tolist()) == {2, 3, 4, DEPTH}
    assert (counts[one] <= 2 ** depth[one]).all() and (counts >= 2).all()
    assert counts[~one].float().mean() > counts[one].float().mean()


def test_a_tree_follows_its_splits(rows: torch.Tensor):
    draw = draws()
    depth, one = 2 + (4 * draw.uniform(1)[:, 0]).long(), draw.chance(0.5)[:, 0, 0]
    column = (F * draw.uniform(2**DEPTH)).long()
    threshold, leaves = teachers.THRESHOLD_SCALE * draw.normal(2**DEPTH), draw.normal(2**DEPTH, K)
    values = teachers._trees(draws(), rows, torch.full((B,), F), K)
    for b in torch.nonzero(one)[:, 0].tolist():
        for n in range(10):
            node = 1
            for _ in range(depth[b]):
                node = 2 * node + int(rows[b, n, column[b, node]] > threshold[b, node])
            leaf = node - 2**DEPTH if depth[b] == DEPTH else node
            assert torch.equal(values[b, n], leaves[b, leaf])


def test_a_network_is_one_hidden_layer(rows: torch.Tensor):
    """Of the units that the table drew; with step units it has few values along a line."""
    made = teachers._network(draws(), rows, torch.full((B,), F), K)
    draw = draws()
    weights, offsets, gain = draw.normal(F, teachers.HIDDEN), draw.normal(1, teachers.HIDDEN), draw.between(0.5, 2.5)
    unit, out = (4 * draw.uniform(1)[:, 0]).long(), draw.normal(teachers.HIDDEN, K)
    hidden = rows @ weights * gain / F**0.5 + offsets
    functions = (torch.tanh, torch.relu, torch.sin, torch.sign)
    assert set(unit.tolist()) == {0, 1, 2, 3}
    for b in range(B):
        assert torch.allclose(made[b], functions[unit[b]](hidden[b]) @ out[b], atol=1e-4)
