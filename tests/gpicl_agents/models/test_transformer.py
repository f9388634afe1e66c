import pytest
import torch
from model_checks import check_attention, check_gradients, perturbed

from gpicl_agents.models.transformer import Transformer
from gpicl_envs.learners.check import check_learner

KINDS = [
    {"tokens": "paired"},
    {"tokens": "paper"},
    {"tokens": "query"},
    {"similarity_bias": 5.0},
    {"input_rank": 0},
    {"n_layers": 3, "tokens": "query"},
    {"n_projections": 2},
    {"window": 3},
    {"n_projections": 2, "similarity_bias": 5.0},
]


def made(**arguments) -> Transformer:
    return perturbed(Transformer(20, 4, **({"width": 16, "n_layers": 2, "n_heads": 2, "input_rank": 8} | arguments)))


@pytest.mark.parametrize("arguments", KINDS, ids=str)
def test_every_form_passes_the_check(arguments: dict):
    """Causality, and step with the cache equal to predict, are among what this checks."""
    check_learner(made(**arguments), length=16)


@pytest.mark.parametrize("arguments", KINDS, ids=str)
def test_predictions_depend_on_labels_and_inputs_seen(arguments: dict):
    learner = made(**arguments)
    x, y = torch.randn(1, 6, 20, generator=torch.Generator().manual_seed(1)), torch.tensor([[0, 1, 2, 3, 0, 1]])
    before = learner.predict(x, y)[0, -1]
    assert not torch.allclose(before, learner.predict(x, (y + 1) % 4)[0, -1], atol=1e-3)
    assert not torch.allclose(before, learner.predict(x.roll(1, 1), y)[0, -1], atol=1e-3)


@pytest.mark.parametrize("arguments", KINDS, ids=str)
def test_the_attention_weights_are_those_of_the_fused_kernel(arguments: dict):
    check_attention(made(**arguments), torch.randn(3, 7, 20), torch.randint(4, (3, 7)))


def test_attention_is_that_of_each_projection_on_average_and_stays_within_the_window():
    x, y = torch.randn(2, 6, 20), torch.randint(4, (2, 6))
    both = made(n_projections=2)
    mean = both.attention(x, y)
    assert not torch.allclose(both.train().attention(x, y), mean, atol=1e-4)  # training has the first one alone
    weights = made(window=3).attention(x, y)
    assert (weights.tril(-3) == 0).all() and (weights.diagonal(-2, -2, -1) > 0).all()


def test_the_similarity_bias_draws_attention_to_the_label_of_an_input_like_the_new_one():
    learner = Transformer(20, 4, similarity_bias=50.0, input_rank=8, width=16).eval()
    x, y = torch.randn(1, 6, 20), torch.randint(4, (1, 6))
    x[0, 5] = x[0, 2] + 1e-3
    assert learner.attention(x, y)[0, 0, -1, 5].argmax() == 3  # token i holds example i − 1


def test_the_first_prediction_knows_no_label_and_starts_uniform():
    x, y = torch.randn(2, 3, 20), torch.zeros(2, 3, dtype=torch.int64)
    assert (Transformer(20, 4, input_rank=8).predict(x, y) == 0).all()


def test_inputs_may_be_scaled_and_projected_by_any_rotation():
    """Unit norm: the scale of x does not matter."""
    learner = made()
    x, y = torch.randn(2, 5, 20), torch.randint(4, (2, 5))
    assert torch.allclose(learner.predict(x, y), learner.predict(7 * x, y), atol=1e-4)


@pytest.mark.parametrize("arguments", KINDS, ids=str)
def test_gradients_agree_with_finite_differences(arguments: dict):
    learner = made(width=8, n_layers=1, **{k: v for k, v in arguments.items() if k != "n_layers"}).double()
    x = torch.randn(2, 4, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    check_gradients(learner, x, torch.tensor([[0, 1, 2, 3], [3, 3, 1, 0]]))


def test_a_window_forgets_what_lies_before_it():
    """One layer that reads three tokens sees the last three inputs, and by pairs the one before; no earlier label."""
    learner = made(n_layers=1, window=3)
    x, y = (
        torch.randn(1, 9, 20, generator=torch.Generator().manual_seed(1)),
        torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3, 0]]),
    )
    predicted, changed = learner.predict(x, y), y.clone()
    changed[:, :5] += 1
    other = learner.predict(x, changed % 4)
    assert torch.equal(other[:, 8], predicted[:, 8])  # reads the labels of examples 5, 6 and 7
    assert not torch.allclose(other[:, 7], predicted[:, 7], atol=1e-3)  # and this one that of example 4 too
    whole, wide = made(n_layers=1), made(n_layers=1, window=9)
    assert torch.allclose(whole.predict(x, y), wide.predict(x, y), atol=1e-5)
    assert whole.n_parameters == learner.n_parameters and learner.state_size(99) < whole.state_size(99) / 8
    with pytest.raises(ValueError, match="window=3 cannot be combined with tokens='query'"):
        made(tokens="query", window=3)


def test_state_size_counts_what_step_keeps():
    for arguments in ({}, {"tokens": "query"}, {"similarity_bias": 3.0}, {"n_projections": 2}, {"window": 3}):
        learner = made(**arguments)
        state, n = learner.start(1), 7
        for _ in range(n):
            _, state = learner.step(state, torch.randn(1, 20), torch.zeros(1, 4))
        kept = sum(k.tensor.numel() + v.tensor.numel() for k, v in state.memory.cache)
        kept += state.total.numel() + state.previous.numel() + state.memory.directions.tensor.numel()
        assert learner.state_size(n) == kept


def test_the_seed_fixes_the_weights_and_leaves_the_global_stream_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    a, b, c = (Transformer(20, 4, input_rank=8, seed=seed) for seed in (1, 1, 2))
    assert torch.rand(1) == expected
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a.embed_input.weight, c.embed_input.weight)


def test_a_projection_of_the_ensemble_is_what_a_learner_with_that_projection_predicts():
    """The mean of the probabilities of two learners that differ in their projection alone; training uses the first."""
    both = made(n_projections=2)
    x, y = torch.randn(3, 6, 20), torch.randint(4, (3, 6))
    singles = []
    for p in range(2):
        single = made(n_projections=1)
        state = both.state_dict()
        state["shared.weight"] = state["shared.weight"][8 * p : 8 * p + 8]
        single.load_state_dict(state)
        singles.append(single.predict(x, y))
    mean = torch.stack(singles).softmax(3).mean(0)
    assert torch.allclose(both.predict(x, y).exp(), mean, atol=1e-5)
    assert torch.allclose(both.train().predict(x, y), singles[0], atol=1e-5)


def test_names_tell_a_black_box_from_a_built_in_rule():
    assert Transformer().name == "transformer"
    assert Transformer(tokens="paper").name == "transformer-paper"
    assert Transformer(similarity_bias=1.0).name == "transformer+similarity"


def test_the_shared_projection_is_orthogonal_and_frozen():
    learner = Transformer()
    weight = learner.shared.weight
    assert torch.allclose(weight @ weight.T, torch.eye(64), atol=1e-5) and not weight.requires_grad
    assert learner.n_parameters == sum(p.numel() for p in learner.parameters()) - weight.numel()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tokens": "pair"}, "Unknown tokens 'pair'. Did you mean 'paired'"),
        ({"width": 30, "n_heads": 4}, "width=30 cannot be split over n_heads=4"),
        ({"similarity_bias": 1.0, "tokens": "query"}, "needs tokens='paired'"),
        ({"input_rank": 1000}, "input_rank=1000 is not allowed: give a whole number from 0 to 784"),
        ({"n_layers": 0}, "n_layers=0"),
        (
            {"n_projections": 13},
            r"n_projections=13 is not allowed: give a whole number from 1 to 12 \(n_features // input_rank",
        ),
    ],
    ids=str,
)
def test_bad_arguments_say_what_is_allowed(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        Transformer(**arguments)


def test_positions_end_at_max_length():
    learner = Transformer(20, 4, tokens="paper", input_rank=8, max_length=5)
    with pytest.raises(ValueError, match="max_length=5 examples, given 6"):
        learner.predict(torch.zeros(1, 6, 20), torch.zeros(1, 6, dtype=torch.int64))
