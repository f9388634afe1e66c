import torch

from gpicl_agents.models.kv_cache import Rows
from gpicl_agents.models.layers import MixerAgent
from gpicl_agents.models.state import leaves_of, map_state
from gpicl_agents.models.state_space import SelectiveStateSpace
from gpicl_agents.models.transformer import Transformer


def test_every_tensor_of_a_state_has_a_name_and_keeps_its_place():
    learner = Transformer(6, 3, width=8, n_heads=2, input_rank=4)
    state = learner.step(learner.start(2), torch.randn(2, 6), torch.zeros(2, 3))[1]
    names = ["total", "previous", "memory.cache.0.0", "memory.cache.0.1", "memory.directions", "n"]
    assert list(leaves_of(state)) == [f"state.{name}" for name in names]
    doubled = map_state(state, lambda name, value: 2 * value)
    assert doubled.n == 2 and torch.equal(doubled.total, 2 * state.total)
    assert isinstance(doubled.memory.cache[0], tuple) and isinstance(doubled.memory.cache[0][0], Rows)
    assert torch.equal(doubled.memory.cache[0][1].tensor, 2 * state.memory.cache[0][1].tensor)


def test_named_tuples_stay_what_they_are():
    learner: MixerAgent = SelectiveStateSpace(6, 3, width=8, input_rank=4, n_heads=2, state_width=4)
    state = map_state(learner.start(1), lambda name, value: value)
    assert type(state.memory[0]).__name__ == "StateSpaceMemory"
    assert "state.memory.0.recent" in leaves_of(state)
