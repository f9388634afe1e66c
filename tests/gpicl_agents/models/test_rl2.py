import inspect

import gymnasium
import pytest
import torch
from model_checks import perturbed
from torch.nn.functional import one_hot

import gpicl_envs  # noqa: F401
from gpicl_agents.models.gru import GRU
from gpicl_agents.models.rl2 import RL2, BanditAgent, RL2Transformer
from gpicl_agents.models.transformer import Transformer
from gpicl_agents.training.reinforce import roll_out
from gpicl_envs.learners.check import check_learner

MADE = {
    "rl2": lambda: RL2(20, 4, width=16, input_rank=8),
    "rl2-transformer": lambda: RL2Transformer(20, 4, width=16, input_rank=8, n_projections=2),
    "rl2-transformer+similarity": lambda: RL2Transformer(20, 4, width=16, input_rank=8, similarity_bias=5.0),
}


@pytest.fixture(params=MADE)
def learner(request) -> BanditAgent:
    learner = MADE[request.param]()
    assert learner.name == request.param
    return perturbed(learner, 0.3)


def test_it_passes_the_check(learner: BanditAgent):
    check_learner(learner, length=16)


def test_of_a_label_it_learns_only_whether_it_was_right(learner: BanditAgent):
    """Another wrong label changes nothing; the right one does."""
    x = torch.randn(1, 2, 20)
    action = int(learner.predict(x, torch.zeros(1, 2, dtype=torch.int64))[0, 0].argmax())
    wrong = [label for label in range(4) if label != action]
    after = [learner.predict(x, torch.tensor([[label, 0]]))[0, 1] for label in (*wrong, action)]
    assert (
        torch.equal(after[0], after[1]) and torch.equal(after[1], after[2]) and not torch.allclose(after[2], after[3])
    )


def test_it_plays_in_evaluation_what_it_plays_in_the_environment(learner: BanditAgent):
    env = gymnasium.make_vec(
        "GPICL-Digits-v0", num_envs=3, n_features=20, n_classes=4, length=12, feedback="reward"
    ).unwrapped
    env.reset(seed=1)
    played = roll_out(learner, env, 0, greedy=True)
    episodes = env.sample_episodes(0)
    logits = learner.predict(episodes.x, episodes.y)
    assert torch.equal(logits.argmax(2), played.actions)


def test_the_state_counts_the_last_action():
    learner = RL2(20, 4, width=16, input_rank=8)
    _, state = learner.step(learner.start(1), torch.randn(1, 20), torch.zeros(1, 4))
    kept = state.total.numel() + state.previous.numel() + state.memory.numel() + state.action.numel()
    assert learner.state_size(1) == learner.state_size(9) == kept
    assert torch.equal(state.action.sum(1), torch.ones(1)) and one_hot(state.action.argmax(1), 4).sum() == 1


def test_right_and_wrong_actions_are_not_each_others_negatives():
    learner = RL2(20, 4, width=16, input_rank=8)
    labels = torch.eye(4)[None]
    right, wrong = (learner.embed_previous_example(torch.zeros(1, 4, 8), sign * labels, 1) for sign in (1, -1))
    assert not torch.allclose(right, -wrong) and not torch.allclose(right, wrong)


@pytest.mark.parametrize(("bandit", "model"), [(RL2, GRU), (RL2Transformer, Transformer)])
def test_it_has_the_arguments_of_the_model_that_it_is_made_from(bandit: type[BanditAgent], model: type):
    assert inspect.signature(bandit) == inspect.signature(model)


@pytest.mark.parametrize("window", [None, 3])
def test_attention_is_that_of_one_step_after_another(window: int | None):
    shape = {"width": 8, "n_heads": 2, "n_layers": 2, "input_rank": 6, "window": window}
    learner = perturbed(RL2Transformer(20, 4, **shape))
    weights = learner.attention(torch.randn(2, 6, 20), torch.randint(4, (2, 6)))
    assert weights.shape == (2, 2, 2, 6, 6) and torch.allclose(weights.sum(-1), torch.ones(()), atol=1e-5)
    assert (weights.triu(1) == 0).all() and (weights.diagonal(-2, -2, -1) > 0).all()
    assert ((weights.tril(-3) == 0).all()) == (window is not None)
