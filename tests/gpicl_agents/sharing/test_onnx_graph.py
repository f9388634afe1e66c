import pytest
from model_checks import perturbed

from gpicl_agents.models.delta_net import GatedDeltaNet
from gpicl_agents.models.transformer import Transformer
from gpicl_agents.sharing.onnx_graph import graph_of_predict, graph_of_step

pytest.importorskip("onnxscript", reason="ONNX needs the extra onnx")


def test_the_learner_is_left_as_it_was():
    learner = perturbed(GatedDeltaNet(6, 3, width=8, input_rank=4))
    before = learner.blocks[0].mixer.chunk
    graph = graph_of_predict(learner, 2)
    assert learner.blocks[0].mixer.chunk == before == 64 and not graph.is_open and graph.inputs == ("x", "y")


def test_a_state_has_a_name_for_each_tensor_and_grows_where_the_memory_does():
    graph = graph_of_step(perturbed(Transformer(6, 3, width=8, n_heads=2, input_rank=4)), 5)
    assert graph.is_open and graph.state["state.memory.cache.0.0"] == (1, 2, 0, 4)
    assert graph.state["state.n"] == () and graph.state["state.total"] == (1, 6)
    assert graph.inputs[2:] == tuple(graph.state) and graph.outputs[1] == "next.total"


def test_a_state_that_begins_in_another_form_is_refused():
    with pytest.raises(ValueError, match=r"state\.memory\.cache\.0\.0 does not start as zeros of the form"):
        graph_of_step(Transformer(6, 3, width=8, n_heads=2, input_rank=4, window=3), 5)
