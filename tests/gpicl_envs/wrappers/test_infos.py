"""Infos of vector environments: masks, and the rows of two of them in one."""

import numpy as np

from gpicl_envs.wrappers.infos import final_batch, masked, merged_infos, without_ends

ROWS = np.array([True, False, True, False])


def test_values_are_copied_beside_their_mask():
    value = np.arange(4)
    info = masked(ROWS, number=value)
    value[:] = 9
    assert info["number"].tolist() == [0, 1, 2, 3] and info["_number"].tolist() == ROWS.tolist()
    assert info["_number"] is not ROWS


def test_each_row_comes_from_its_info():
    all_rows = np.ones(4, bool)
    step = masked(all_rows, both=np.arange(4), step=np.arange(4.0)) | {"deep": masked(all_rows, a=np.zeros((4, 2)))}
    reset = masked(all_rows, both=np.arange(4) + 10, reset=np.ones(4)) | {"deep": masked(ROWS, a=np.ones((4, 2)))}
    merged = merged_infos(step | {"_deep": all_rows}, reset | {"_deep": ROWS}, ROWS)
    assert merged["both"].tolist() == [10, 1, 12, 3] and merged["_both"].all()
    assert merged["_step"].tolist() == (~ROWS).tolist() and merged["_reset"].tolist() == ROWS.tolist()
    assert merged["deep"]["a"].tolist() == [[1, 1], [0, 0], [1, 1], [0, 0]] and merged["_deep"].all()


def test_a_key_that_no_row_keeps_is_left_out():
    assert merged_infos(masked(ROWS, gone=np.ones(4)), {}, ROWS) == {}


def test_ends_are_taken_out():
    info = masked(ROWS, a=ROWS, final_obs=ROWS, final_info=ROWS)
    assert set(without_ends(info)) == {"a", "_a"}


def test_last_observations_come_as_a_batch_or_one_by_one():
    observation = {"x": np.zeros((4, 2))}
    batch = {"x": np.ones((4, 2))}
    assert final_batch(observation, {"final_obs": batch}, ROWS) is batch
    single = np.array([{"x": np.full(2, 3.0)}, None, {"x": np.full(2, 4.0)}, None], dtype=object)
    assert final_batch(observation, {"final_obs": single}, ROWS)["x"][:, 0].tolist() == [3, 0, 4, 0]
    assert not observation["x"].any()
