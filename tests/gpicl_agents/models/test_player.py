"""A sequence model as a player."""

import gymnasium
import numpy as np
import pytest
import torch

from gpicl_agents.models.gru import GRU
from gpicl_agents.models.player import read_observation
from gpicl_agents.models.policy import ActionUnits
from gpicl_envs.rl.bandit import Bandit
from gpicl_envs.rl.players.base import CannotPlayError
from gpicl_envs.rl.wrapped_problems import WrappedProblems


def agent() -> GRU:
    made = GRU(3, 4, width=8, normalize_inputs=False)
    torch.nn.init.normal_(made.read_out.weight, generator=torch.Generator().manual_seed(0))
    return made.eval()


def test_what_was_done_and_earned_enters_as_tokens():
    seen = {
        "x": torch.ones(2, 1),
        "action": torch.eye(2),
        "reward": torch.full((2, 1), 5.0),
        "start": torch.zeros(2, 1),
    }
    x, feedback = read_observation(seen)
    assert x.tolist() == [[1, 5, 0]] * 2 and torch.equal(feedback, torch.eye(2))
    x, feedback = read_observation({"x": torch.ones(2, 3), "y": torch.zeros(2, 2)})
    assert x.shape == (2, 3) and feedback.shape == (2, 2)


def test_actions_follow_the_policy_and_the_generator():
    venv, made = gymnasium.make_vec("GPICL-Bandit-v0", num_envs=2000, n_arms=4), Bandit(n_arms=4)
    seen = venv.reset(seed=0)[0]
    player = agent().as_player()

    def draw(seed: int) -> torch.Tensor:
        return player.act(player.start(made, 2000, torch.Generator().manual_seed(seed)), seen)[0]

    assert torch.equal(draw(0), draw(0)) and not torch.equal(draw(0), draw(1))
    x, feedback = read_observation(seen)
    policy = agent()(x[:1, None], feedback[:1, None]).softmax(2)[0, 0]
    assert (torch.bincount(draw(0), minlength=4) / 2000 - policy).abs().max() < 0.05
    greedy = agent().as_player(greedy=True)
    assert (greedy.act(greedy.start(made, 2000, torch.Generator()), seen)[0] == policy.argmax()).all()


def test_problems_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match=r"n_features=3 and n_classes=4, but Bandit takes D \+ 2 = 3 and A = 5"):
        agent().as_player().check_can_play(Bandit())
    agent().as_player().check_can_play(Bandit(n_arms=4))


def test_a_policy_of_real_actions_needs_their_bounds():
    made = GRU(5, 1, width=8, continuous_actions=True)
    for given in (None, Bandit()):
        with pytest.raises(ValueError, match=r"gru acts by real numbers, in units of the bounds .*as_player\(venv\)"):
            made.as_player(given)


def test_a_policy_of_real_actions_plays_any_vector_environment():
    """Drawn around its mean, or the mean itself; in the environment's units and bounds; from NumPy arrays."""
    venv = WrappedProblems("Pendulum-v1", trials=2).make(500)
    made = GRU(5, 1, width=8, normalize_inputs=False, continuous_actions=True, value_head=True).eval()
    torch.nn.init.normal_(made.read_out.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    made.log_std.data.fill_(-2.0)
    seen = venv.reset(seed=0)[0]
    seen["action"] += 2.0  # as after the largest torque
    x, feedback = read_observation(
        {name: torch.as_tensor(value) for name, value in seen.items()},
        ActionUnits(venv.single_action_space, torch.device("cpu")),
    )
    assert (feedback == 1).all()
    mean = made(x[:, None], feedback[:, None])[:, 0]
    assert 0 < mean.abs().max() < 0.8 and mean.std() > 0

    def act(greedy: bool, seed: int) -> torch.Tensor:
        player = made.as_player(venv, greedy)
        return player.act(player.start(venv, 500, torch.Generator().manual_seed(seed)), seen)[0]

    assert torch.allclose(act(True, 0), 2 * mean) and torch.equal(act(False, 0), act(False, 0))
    noise = act(False, 1) / 2 - mean
    assert abs(noise.mean()) < 0.03 and noise.std().item() == pytest.approx(np.exp(-2.0), rel=0.15)
    venv.step(act(False, 1).numpy())
    with pytest.raises(CannotPlayError, match="acts by real numbers, but Bandit has Discrete actions"):
        made.as_player(venv).check_can_play(Bandit())
