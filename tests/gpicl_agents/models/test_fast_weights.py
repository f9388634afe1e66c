import pytest
import torch

from gpicl_agents.models.fast_weights import write_and_read

B, H, T, D_K, D_V = 2, 3, 23, 8, 5


def problem(dtype: torch.dtype = torch.float64, strongest: float = 1.0) -> dict[str, torch.Tensor]:
    """A memory that holds something, and what is written to it; keys of unit norm."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    return {
        "memory": normal(B, H, D_K, D_V),
        "queries": normal(B, H, T, D_K),
        "keys": torch.nn.functional.normalize(normal(B, H, T, D_K), dim=3),
        "values": normal(B, H, T, D_V),
        "log_decay": -strongest * normal(B, H, T).abs(),
        "rates": normal(B, H, T).sigmoid(),
    }


def plain_loop(memory, queries, keys, values, log_decay, rates=None) -> tuple[torch.Tensor, torch.Tensor]:
    """The recurrences as they are written in the module, a token at a time."""
    reads = []
    for t in range(queries.shape[2]):
        alpha, k, v = log_decay[:, :, t].exp()[..., None, None], keys[:, :, t, :, None], values[:, :, t, None, :]
        if rates is None:
            memory = alpha * memory + k @ v
        else:
            beta = rates[:, :, t, None, None]
            erased = torch.eye(D_K, dtype=memory.dtype) - beta * (k @ k.mT)
            memory = alpha * erased @ memory + beta * (k @ v)
        reads.append((memory.mT @ queries[:, :, t, :, None])[..., 0])
    return torch.stack(reads, 2), memory


@pytest.mark.parametrize("chunk", [1, 2, 7, 23, 64])
@pytest.mark.parametrize("rule", ["sum", "delta"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=str)
def test_chunks_of_any_size_equal_the_recurrence(rule: str, chunk: int, dtype: torch.dtype, tolerance: float):
    given = problem(dtype)
    if rule == "sum":
        del given["rates"]
    expected = plain_loop(**given)
    for ours, loop in zip(write_and_read(**given, chunk=chunk), expected, strict=True):
        assert (ours - loop).abs().max() <= tolerance * loop.abs().max()


@pytest.mark.parametrize("rule", ["sum", "delta"])
def test_decay_that_underflows_gives_numbers_and_gradients(rule: str):
    """exp(−40·t) vanishes in float32 within three tokens; its inverse would be infinite within three."""
    given = problem(torch.float32, strongest=40.0)
    if rule == "sum":
        del given["rates"]
    given["log_decay"].requires_grad_()
    read, memory = write_and_read(**given, chunk=23)
    (read.sum() + memory.sum()).backward()
    assert read.isfinite().all() and given["log_decay"].grad.isfinite().all()
    assert torch.allclose(read, plain_loop(**given)[0], atol=1e-5)


def test_the_delta_rule_recalls_what_the_sum_rule_mixes_up():
    """With β = 1, a key's last value is read back exactly, whatever was written under it or near it before."""
    given = problem()
    given |= {"rates": torch.ones(B, H, T, dtype=torch.float64), "log_decay": torch.zeros(B, H, T).double()}
    recalled, _ = write_and_read(**given | {"queries": given["keys"]}, chunk=8)
    assert torch.allclose(recalled, given["values"], atol=1e-12)
    del given["rates"]
    mixed, _ = write_and_read(**given | {"queries": given["keys"]}, chunk=8)
    assert (mixed - given["values"]).abs().mean() > 0.5


def test_the_delta_rule_goes_down_the_gradient_of_squared_error():
    """One token: S − β ∇ ½‖v − Sᵀk‖², by automatic differentiation."""
    given = {name: value[:, :, :1] if name != "memory" else value for name, value in problem().items()}
    given["log_decay"] = torch.zeros_like(given["log_decay"])
    start = given["memory"].clone().requires_grad_()
    (0.5 * (given["values"] - given["keys"] @ start) ** 2).sum().backward()
    expected = start.detach() - given["rates"][..., None] * start.grad
    assert torch.allclose(write_and_read(**given)[1], expected, atol=1e-12)


def test_no_read_depends_on_what_is_written_later():
    given = problem()
    later = problem(strongest=2.0)
    first = write_and_read(**given, chunk=9)[0]
    mixed = {n: torch.cat([given[n][:, :, :12], -later[n][:, :, 12:]], 2) for n in ("queries", "keys", "values")}
    mixed["log_decay"] = torch.cat([given["log_decay"][:, :, :12], later["log_decay"][:, :, 12:]], 2)
    second = write_and_read(**given | mixed, chunk=9)[0]
    assert torch.equal(first[:, :, :12], second[:, :, :12])
    assert not torch.allclose(first[:, :, 12:], second[:, :, 12:])


def test_gradients_agree_with_finite_differences():
    given = {name: value[:1, :1, :5] for name, value in problem().items()}
    given["memory"] = problem()["memory"][:1, :1]
    names = list(given)
    inputs = [given[name].clone().requires_grad_() for name in names]
    assert torch.autograd.gradcheck(
        lambda *values: write_and_read(**dict(zip(names, values, strict=True)), chunk=3), inputs
    )
