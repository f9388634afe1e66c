import torch

from gpicl_agents.models.gru import GRU


def test_a_stack_is_the_librarys_cells_one_above_the_other():
    learner = GRU(20, 4, width=6, n_layers=2, input_rank=6)
    cells = [torch.nn.GRUCell(6, 6) for _ in range(2)]
    for layer, cell in enumerate(cells):
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        cell.load_state_dict({name: learner.layers.get_parameter(f"{name}_l{layer}") for name in names})
    tokens = torch.randn(3, 7, 6)
    outputs, h = learner.run(tokens, learner.start_memory(3), tokens)
    expected = [torch.zeros(3, 6) for _ in cells]
    for n, token in enumerate(tokens.unbind(1)):
        for layer, cell in enumerate(cells):
            expected[layer] = token = cell(token, expected[layer])
        assert torch.allclose(outputs[:, n], token, atol=1e-6)
    assert torch.allclose(h, torch.stack(expected), atol=1e-6)
    assert learner.memory_size(9) == h[:, 0].numel()
