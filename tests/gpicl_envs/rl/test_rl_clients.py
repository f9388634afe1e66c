"""The in-context RL ids in the hands of the libraries that people train with."""

import warnings
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import gpicl_envs  # noqa: F401 (registers the ids)
from gpicl_envs.rl.evaluate import evaluate_players
from gpicl_envs.wrappers.vector import FlattenObservation, TorchToNumpy, to_numpy

SMALL: dict[str, dict[str, Any]] = {
    "GPICL-Bandit-v0": {"n_arms": 3, "length": 6},
    "GPICL-TabularMDP-v0": {"n_states": 3, "n_actions": 3, "horizon": 2, "n_episodes": 3},
    "GPICL-DarkRoom-v0": {"size": 3, "horizon": 3, "n_episodes": 2},
}
LENGTH, KEYS = 6, ("x", "action", "reward", "start")
EXAMPLE = Path(__file__).parents[3] / "examples" / "bandit_recurrent_ppo.py"
each_id = pytest.mark.parametrize("env_id", SMALL)
Shown = list[np.ndarray]  # each (N, 2, …): x, action, reward and start before each of N steps, and the reward for it


def make_vec(env_id: str, num_envs: int = 2, **arguments: Any) -> Any:
    return gymnasium.make_vec(env_id, num_envs=num_envs, **SMALL[env_id], **arguments)


# -- One seed, one problem ---------------------------------------------------------------------------------------------

# Each client plays the actions 0, 1, 2, 0, … in the problems of seeds 3 and 4.


def stacked(steps: list[tuple[dict[str, Any], Any]]) -> Shown:
    """Observations and rewards, step by step."""
    shown = [np.stack([np.array(observation[key]) for observation, _ in steps]) for key in KEYS]
    return [*shown, np.stack([np.array(reward) for _, reward in steps])]


def play_vector(env: Any) -> Shown:
    observation, _ = to_numpy(env.reset(seed=3))
    steps = []
    for n in range(LENGTH):
        before = {key: value.copy() for key, value in observation.items()}
        observation, reward, *_ = to_numpy(env.step(np.full(2, n % 3)))
        steps.append((before, reward))
    return stacked(steps)


def play_single(env_id: str) -> Shown:
    rows = []
    for seed in (3, 4):
        env = gymnasium.make(env_id, **SMALL[env_id])
        observation, _ = env.reset(seed=seed)
        steps = []
        for n in range(LENGTH):
            before = observation
            observation, reward, *_ = env.step(n % 3)
            steps.append((before, reward))
        rows.append(stacked(steps))
    return [np.stack(part, 1) for part in zip(*rows, strict=True)]


def play_sb3(env_id: str) -> Shown:
    pytest.importorskip("stable_baselines3", reason="needs gpicl-envs[rl]")
    from gpicl_envs.wrappers.sb3 import Sb3VecEnv

    env = Sb3VecEnv(env_id, num_envs=2, **SMALL[env_id])
    env.seed(3)
    observation: Any = env.reset()
    steps = []
    for n in range(LENGTH):
        before = {key: value.copy() for key, value in observation.items()}
        observation, reward, *_ = env.step(np.full(2, n % 3))
        steps.append((before, reward))
    return stacked(steps)


def play_torchrl(env_id: str) -> Shown:
    pytest.importorskip("torchrl", reason="needs gpicl-envs[rl]")
    from gpicl_envs.wrappers.torchrl import NAMES, TorchRLVecEnv

    env = TorchRLVecEnv(env_id, num_envs=2, **SMALL[env_id])
    actions = iter(range(LENGTH))

    def policy(tensordict: Any) -> Any:
        return tensordict.set("action", env.action_spec.encode(np.full(2, next(actions) % 3)))

    start = env.reset(seed=3)
    shown = env.rollout(LENGTH, policy, auto_reset=False, tensordict=start, break_when_any_done=False)
    assert shown["next", "terminated"][..., 0].nonzero()[:, 1].tolist() == [LENGTH - 1] * 2
    seen = [shown[NAMES.get(key, key)].transpose(0, 1).numpy() for key in KEYS]
    return [*seen, shown["next", "reward"][..., 0].T.numpy()]


CLIENTS = {
    "vector environment": lambda env_id: play_vector(make_vec(env_id)),
    "TorchToNumpy": lambda env_id: play_vector(TorchToNumpy(make_vec(env_id))),
    "SyncVectorEnv": lambda env_id: play_vector(make_vec(env_id, vectorization_mode="sync")),
    "Sb3VecEnv": play_sb3,
    "TorchRLVecEnv": play_torchrl,
}


@each_id
@pytest.mark.parametrize("client", CLIENTS)
def test_one_seed_shows_the_same_numbers_everywhere(client: str, env_id: str):
    played, expected = CLIENTS[client](env_id), play_single(env_id)
    for mine, wanted in zip(played, expected, strict=True):
        assert mine.shape == wanted.shape and np.array_equal(mine, wanted)
    _, action, reward, start, earned = expected
    assert (action[0] == 0).all() and (action[1:].argmax(2).T == np.arange(LENGTH - 1) % 3).all()
    assert np.array_equal(reward[1:, :, 0], earned[:-1].astype(np.float32)) and start[0].all()


# -- stable-baselines3 -------------------------------------------------------------------------------------------------


@each_id
def test_sb3s_check_env_passes_without_a_warning(env_id: str):
    checker = pytest.importorskip("stable_baselines3.common.env_checker", reason="needs gpicl-envs[rl]")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checker.check_env(gymnasium.make(env_id, **SMALL[env_id]))


@each_id
def test_recurrent_ppo_trains_on_whole_problems(env_id: str):
    contrib = pytest.importorskip("sb3_contrib", reason="needs gpicl-envs[rl]")
    from gpicl_envs.wrappers.sb3 import Sb3VecEnv

    venv = Sb3VecEnv(env_id, num_envs=2, **SMALL[env_id])
    small = {"lstm_hidden_size": 4, "net_arch": [4]}
    settings: dict[str, Any] = {"n_steps": LENGTH, "batch_size": 2 * LENGTH, "n_epochs": 1, "policy_kwargs": small}
    model = contrib.RecurrentPPO("MultiInputLstmPolicy", venv, seed=0, **settings)
    before = torch.nn.utils.parameters_to_vector(model.policy.parameters()).detach().clone()
    model.learn(4 * LENGTH)
    after = torch.nn.utils.parameters_to_vector(model.policy.parameters())
    assert after.isfinite().all() and (after != before).float().mean() > 0.5
    assert [episode["l"] for episode in model.ep_info_buffer] == [LENGTH] * 4


# -- TorchRL -----------------------------------------------------------------------------------------------------------


@each_id
def test_torchrls_specs_hold(env_id: str):
    """For our adapter; and for TorchRL's own, with flat observations, since it uses the names of their parts itself."""
    envs = pytest.importorskip("torchrl.envs", reason="needs gpicl-envs[rl]")
    from gpicl_envs.wrappers.torchrl import TorchRLVecEnv

    envs.check_env_specs(TorchRLVecEnv(env_id, num_envs=2, **SMALL[env_id]))
    single = gymnasium.wrappers.FlattenObservation(gymnasium.make(env_id, **SMALL[env_id]))
    envs.check_env_specs(envs.GymWrapper(single))
    with pytest.raises(RuntimeError, match="collides"):
        envs.GymEnv(env_id, **SMALL[env_id])


@each_id
def test_torchrl_computes_a_gradient_of_ppo(env_id: str):
    """A rollout over the end of a problem, advantages and the loss, with TorchRL's modules."""
    envs = pytest.importorskip("torchrl.envs", reason="needs gpicl-envs[rl]")
    from tensordict.nn import ProbabilisticTensorDictModule, ProbabilisticTensorDictSequential, TensorDictModule
    from torchrl.modules import ValueOperator
    from torchrl.objectives import ClipPPOLoss
    from torchrl.objectives.value import GAE

    from gpicl_envs.wrappers.torchrl import TorchRLVecEnv

    batch = FlattenObservation(make_vec(env_id, autoreset_mode="Disabled"))
    env = envs.TransformedEnv(TorchRLVecEnv(batch), envs.RewardSum())
    scores = TensorDictModule(torch.nn.LazyLinear(env.action_spec.shape[-1]), ["observation"], ["logits"])
    draw = ProbabilisticTensorDictModule(
        in_keys=["logits"],
        out_keys=["action"],
        distribution_class=torch.distributions.OneHotCategorical,
        return_log_prob=True,
    )
    actor = ProbabilisticTensorDictSequential(scores, draw)
    critic = ValueOperator(torch.nn.LazyLinear(1), in_keys=["observation"])
    with torch.no_grad():
        shown = env.rollout(LENGTH + 2, actor, break_when_any_done=False)
    total = shown["next", "reward"][:, :LENGTH].sum(1)
    assert torch.allclose(shown["next", "episode_reward"][:, LENGTH - 1], total, atol=1e-5)
    critic(shown.clone())
    GAE(gamma=0.9, lmbda=0.9, value_network=critic)(shown)
    loss = ClipPPOLoss(actor, critic)
    losses = loss(shown.reshape(-1))
    sum(losses[name] for name in ("loss_objective", "loss_critic")).backward()
    gradients = [weights.grad for weights in loss.parameters() if weights.requires_grad]
    assert all(g is not None and g.isfinite().all() for g in gradients) and any(g.any() for g in gradients)


# -- A loop in the style of CleanRL ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = util.spec_from_file_location("bandit_recurrent_ppo", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@each_id
def test_the_examples_loop_trains_a_player_of_every_id(env_id: str, example: ModuleType):
    torch.manual_seed(0)
    env = make_vec(env_id, num_envs=8)
    made = env.unwrapped.distribution.unseen()
    policy = example.Policy(made.n_features + made.n_actions + 2, made.n_actions)
    before = torch.nn.utils.parameters_to_vector(policy.parameters()).detach().clone()
    example.train(policy, env, 2)
    after = torch.nn.utils.parameters_to_vector(policy.parameters())
    assert after.isfinite().all() and (after != before).float().mean() > 0.5
    (curve,) = evaluate_players([policy], made, problems=10)
    assert curve.player == "my GRU" and curve.rewards.shape == (10, LENGTH)
