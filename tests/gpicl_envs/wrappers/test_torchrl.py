import doctest
import subprocess
import sys

import pytest
import torch
from small_tasks import make_vec
from torch import nn

import gpicl_envs  # noqa: F401 (registers the ids)
from gpicl_envs.wrappers.vector import FlattenObservation, PreviousActionAndReward

pytest.importorskip("torchrl", reason="needs gpicl-envs[rl]")

from tensordict.nn import ProbabilisticTensorDictModule, ProbabilisticTensorDictSequential, TensorDictModule
from torchrl.collectors import Collector
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from torchrl.envs import Compose, RewardSum, StepCounter, TransformedEnv, VecNormV2, check_env_specs
from torchrl.modules import ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

from gpicl_envs.wrappers import torchrl
from gpicl_envs.wrappers.torchrl import TorchRLVecEnv

B, LENGTH, STEPS = 4, 7, 14
SMALL = {"n_features": 8, "length": LENGTH}


def make(**arguments) -> TorchRLVecEnv:
    return TorchRLVecEnv("GPICL-Digits-v0", num_envs=B, **(SMALL | arguments))


def rollout(env, steps: int = STEPS):
    env.set_seed(0)
    torch.manual_seed(0)
    return env.rollout(steps, break_when_any_done=False)


@pytest.mark.parametrize("env_id", ["GPICL-Digits-v0", "GPICL-LinearRegression-v0"])
@pytest.mark.parametrize("feedback", ["label", "reward"])
def test_its_specs_hold(env_id: str, feedback: str):
    check_env_specs(TorchRLVecEnv(env_id, num_envs=B, feedback=feedback, **SMALL))


def test_rewards_are_columns_already_when_transforms_see_them():
    """As TorchRL's own environments give them; (B,) beside (B, 1) would make (B, B)."""
    env = make()
    shown = env._step(env.rand_action(env.reset()))
    assert shown["reward"].shape == shown["done"].shape == (B, 1)


def test_returns_and_steps_are_counted_for_each_environment():
    env = TransformedEnv(make(), Compose(RewardSum(), StepCounter()))
    check_env_specs(env)
    shown = rollout(env)
    rewards = shown["next", "reward"]
    assert shown["next", "episode_reward"].shape == rewards.shape == (B, STEPS, 1)
    for start in (0, LENGTH):
        expected = rewards[:, start : start + LENGTH].cumsum(1)
        assert torch.equal(shown["next", "episode_reward"][:, start : start + LENGTH], expected)
    counted = torch.arange(1, LENGTH + 1).repeat(2)
    assert (shown["next", "step_count"][..., 0] == counted).all()
    assert shown["next", "done"][..., 0].nonzero()[:, 1].tolist() == [LENGTH - 1, STEPS - 1] * B


def test_rewards_and_inputs_can_be_normalised():
    env = TransformedEnv(make(), VecNormV2(in_keys=["x", "reward"], out_keys=["x", "reward"]))
    shown = rollout(env, 8 * LENGTH)
    assert shown["next", "reward"].shape == (B, 8 * LENGTH, 1)
    settled = shown[:, 4 * LENGTH :]
    assert abs(settled["next", "reward"].mean()) < 0.5 and 0.5 < settled["x"].std() < 1.5


def test_ppo_collects_and_updates():
    """A collector with transforms, advantages, a replay buffer and a loss; then every weight has a finite gradient."""
    batch = FlattenObservation(make_vec(num_envs=B, autoreset_mode="Disabled"))
    env = TransformedEnv(TorchRLVecEnv(batch), RewardSum())
    scores = TensorDictModule(nn.Linear(26, 10), in_keys=["observation"], out_keys=["logits"])
    draw = ProbabilisticTensorDictModule(
        in_keys=["logits"],
        out_keys=["action"],
        distribution_class=torch.distributions.OneHotCategorical,
        return_log_prob=True,
    )
    actor = ProbabilisticTensorDictSequential(scores, draw)
    critic = ValueOperator(nn.Linear(26, 1), in_keys=["observation"])
    loss = ClipPPOLoss(actor, critic)
    advantage = GAE(gamma=0.9, lmbda=0.9, value_network=critic)
    collector = Collector(env, actor, frames_per_batch=B * 12, total_frames=B * 24)
    for batch in collector:
        assert batch.shape == (B, 12) and batch["next", "episode_reward"].shape == (B, 12, 1)
        advantage(batch)
        buffer = TensorDictReplayBuffer(storage=LazyTensorStorage(B * 12), batch_size=16)
        buffer.extend(batch.reshape(-1))
        losses = loss(buffer.sample())
        sum(losses[name] for name in ("loss_objective", "loss_critic", "loss_entropy")).backward()
        gradients = [weight.grad for weight in loss.parameters() if weight.requires_grad]
        assert gradients and all(g is not None and g.isfinite().all() for g in gradients)
    collector.shutdown()


def test_made_and_wrapped_environments_are_taken():
    batch = PreviousActionAndReward(make_vec(num_envs=B, **SMALL, autoreset_mode="Disabled"))
    env = TorchRLVecEnv(FlattenObservation(batch))
    check_env_specs(env)
    shown = rollout(env, 5)
    assert torch.equal(shown["next", "observation"][..., :10], shown["action"].float())  # keys are sorted: action first


def test_the_previous_action_and_reward_have_names_that_torchrl_does_not_use():
    env = TorchRLVecEnv(PreviousActionAndReward(make_vec(num_envs=B, **SMALL, autoreset_mode="Disabled")))
    check_env_specs(env)
    shown = rollout(env, LENGTH)
    assert torch.equal(shown["previous_action"][:, 1:], shown["action"][:, :-1].float())
    assert torch.equal(shown["previous_reward"][:, 1:], shown["next", "reward"][:, :-1])
    assert not shown["previous_action"][:, 0].any() and not shown["previous_reward"][:, 0].any()


@pytest.mark.parametrize("categorical", [False, True])
def test_the_same_labels_by_one_hot_vectors_and_by_numbers(categorical: bool):
    env, raw = make(categorical_action_encoding=categorical), make_vec(num_envs=B, **SMALL)
    env.set_seed(0)
    start = env.reset(seed=3)
    raw.reset(seed=3)
    labels = torch.arange(B)
    start["action"] = labels if categorical else torch.nn.functional.one_hot(labels, 10).bool()
    assert torch.equal(env.step(start)["next", "reward"][:, 0], raw.step(labels)[1])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: TorchRLVecEnv(make_vec(num_envs=2)), "autoreset_mode='Disabled', given AutoresetMode.SAME_STEP"),
        (lambda: TorchRLVecEnv(make_vec(num_envs=2), num_envs=2), "give one of them"),
        (lambda: TorchRLVecEnv("GPICL-Digits-v0", lenght=3), "Did you mean 'length'"),
        (lambda: make(autoreset_mode="SameStep"), "autoreset_mode='Disabled'"),
    ],
)
def test_bad_arguments_say_what_is_allowed(wrong, message: str):
    with pytest.raises(ValueError, match=message):
        wrong()


def test_without_torchrl_the_error_names_the_command():
    code = "import sys; sys.modules['torchrl'] = None; import gpicl_envs.wrappers.torchrl"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and "pip install 'gpicl-envs[rl]'" in done.stderr


@pytest.mark.gpu
def test_tensors_stay_on_the_gpu():
    env = TransformedEnv(make(device="cuda"), RewardSum())
    shown = rollout(env)
    assert shown["next", "episode_reward"].is_cuda


def test_the_example_runs():
    found = doctest.testmod(torchrl)
    assert found.attempted > 0 and found.failed == 0
