import torch

from gpicl_agents.models.kv_cache import Rows


@torch.no_grad()
def test_rows_grow_and_those_before_stay():
    rows, kept = Rows(torch.empty(2, 0, 3)), []
    written = torch.randn(2, 50, 3)
    for n in range(50):
        kept.append(rows)
        rows = rows.append(written[:, n : n + 1])
    assert torch.equal(rows.tensor, written)
    assert all(torch.equal(before.tensor, written[:, :n]) for n, before in enumerate(kept))


@torch.no_grad()
def test_two_ways_from_one_state_do_not_meet():
    base = Rows(torch.zeros(1, 0, 1)).append(torch.ones(1, 1, 1))
    one, two = base.append(torch.full((1, 1, 1), 2.0)), base.append(torch.full((1, 1, 1), 3.0))
    assert one.tensor.flatten().tolist() == [1, 2] and two.tensor.flatten().tolist() == [1, 3]


@torch.no_grad()
def test_appending_copies_rarely():
    rows, places = Rows(torch.empty(1, 0, 4)), set()
    for _ in range(200):
        rows = rows.append(torch.zeros(1, 1, 4))
        places.add(rows.tensor.data_ptr())
    assert len(places) <= 6


@torch.no_grad()
def test_forgotten_rows_are_written_over_in_place():
    rows = Rows(torch.empty(1, 0, 1)).append(torch.tensor([[[1.0], [2.0]]]))
    place = rows.tensor.data_ptr()
    again = rows.first(1).append(torch.tensor([[[5.0]]]))
    assert again.tensor.flatten().tolist() == [1, 5] and again.tensor.data_ptr() == place


def test_gradients_flow_through_appended_rows():
    value = torch.ones(1, 1, 1, requires_grad=True)
    rows = Rows(torch.zeros(1, 0, 1)).append(value).append(2 * value)
    rows.tensor.sum().backward()
    assert value.grad.item() == 3
