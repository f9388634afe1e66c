"""`Projections`: a stream of random projections for each environment of a batch."""

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from gpicl_envs.wrappers.problem_format import problem_space
from gpicl_envs.wrappers.projections import Projections

ALL = np.ones(3, bool)
GOLDEN_INPUTS, GOLDEN_ACTIONS = [0.205525, -0.151236, 0.355514, -0.05565], [0, 0, 1, 0, 1]
GOLDEN_ID, GOLDEN_NUMBERED = 268, [0.861725, -0.02482]


def projections(num_envs: int = 3, n_inputs: int = 6, n_features: int = 5, **arguments: Any) -> Projections:
    return Projections(problem_space(n_inputs, 2, Discrete(2)), Discrete(2), num_envs, n_features, **arguments)


def test_entries_have_mean_0_and_variance_1_over_n_x():
    made = projections(500, 16, 20)
    made.redraw(np.ones(500, bool), list(range(500)))
    assert made.inputs.shape == (500, 20, 16) and made.inputs.dtype == np.float32
    assert made.inputs.mean() == pytest.approx(0, abs=0.005) and 16 * made.inputs.var() == pytest.approx(1, abs=0.02)


def test_distances_are_kept_on_average():
    made = projections(2000, 8, 32)
    made.redraw(np.ones(2000, bool), list(range(2000)))
    a, b = np.linspace(-1, 1, 8), np.ones(8)
    between = made.project(np.tile(a, (2000, 1))) - made.project(np.tile(b, (2000, 1)))
    assert (between**2).sum(1).mean() == pytest.approx(32 / 8 * ((a - b) ** 2).sum(), rel=0.03)


def test_a_projection_is_a_function_of_seed_and_number():
    made, alone = projections(), projections(1)
    made.redraw(ALL, [7, 8, 9])
    made.redraw(np.array([False, True, False]))
    alone.redraw(ALL[:1], [8])
    first = alone.inputs[0].copy()
    alone.redraw(ALL[:1])
    assert (made.inputs[1] == alone.inputs[0]).all() and (made.actions[1] == alone.actions[0]).all()
    assert not np.isclose(first, alone.inputs[0]).any()
    alone.redraw(ALL[:1], [8])
    assert (alone.inputs[0] == first).all()
    made.redraw(ALL, [None, 8, None])
    assert (made.inputs[1] == first).all() and not np.isclose(made.inputs[0], first).any()


def test_the_numbers_never_change():
    made = projections(1, 2, 2, n_actions=5)
    made.redraw(ALL[:1], [0])
    assert (
        made.inputs[0].ravel().tolist() == pytest.approx(GOLDEN_INPUTS, abs=1e-5)
        and made.actions[0].tolist() == GOLDEN_ACTIONS
    )
    made = projections(1, 2, 1, n_projections=1000)
    made.redraw(ALL[:1], [0])
    assert made.ids.tolist() == [GOLDEN_ID] and made.inputs[0].ravel().tolist() == pytest.approx(
        GOLDEN_NUMBERED, abs=1e-5
    )


def test_a_fixed_set_returns():
    made, others = projections(200, n_projections=4), projections(200, n_projections=4, projection_seed=1)
    for one in (made, others):
        one.redraw(np.ones(200, bool), list(range(200)))
    assert set(made.ids.tolist()) == {0, 1, 2, 3} and (made.ids == others.ids).all()
    rows = np.concatenate([made.inputs.reshape(200, -1), made.actions], 1)
    for i in range(4):
        assert (rows[made.ids == i] == rows[made.ids == i][0]).all()
    assert len(np.unique(made.inputs[:, 0, 0])) == 4
    assert not np.isin(others.inputs[:, 0, 0], made.inputs[:, 0, 0]).any()
    assert set(projections().ids.tolist()) == {-1}


def test_normalisation_is_what_was_given():
    plain, made = projections(1, 2), projections(1, 2, mean=[1.0, 2.0], std=[2.0, 0.5])
    for one in (plain, made):
        one.redraw(ALL[:1], [0])
    np.testing.assert_allclose(made.project(np.array([[3.0, 3.0]])), plain.project(np.array([[1.0, 2.0]])), rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_features": 0}, "n_features=0 is not allowed"),
        ({"n_actions": 1}, "n_actions=1 is not allowed"),
        ({"n_projections": 0}, "n_projections=0 is not allowed"),
        ({"projection_seed": -1}, "projection_seed=-1 is not allowed"),
        ({"mean": [1.0]}, "give 6 finite numbers"),
        ({"std": [0.0] * 6}, "give positive numbers"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        projections(**arguments)


def test_only_problems_are_projected():
    with pytest.raises(TypeError, match="put Trials .* around the environment first"):
        Projections(Box(-1, 1, (3,)), Discrete(2), 1, 4)
