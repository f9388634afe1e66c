"""TorchRL's recurrent PPO on in-context RL problems, and the policy that it trains as a player; for `rl_clients.py`.

All parts are TorchRL's: the collector, the GRU with its recurrent state in the tensordict, GAE and the clipped loss. A
roll-out is a whole problem in each environment, so that each begins with an empty memory, in training as in evaluation.
"""

import time
from typing import Any

import gymnasium
import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule, TensorDictSequential
from torch import nn
from torchrl.collectors import Collector
from torchrl.envs import Compose, InitTracker, TransformedEnv
from torchrl.modules import (
    ActorValueOperator,
    GRUModule,
    OneHotCategorical,
    ProbabilisticActor,
    ValueOperator,
    set_recurrent_mode,
)
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

from gpicl_agents.training.config import RewardConfig
from gpicl_envs.rl.players.base import Player, draw_action
from gpicl_envs.wrappers.torchrl import TorchRLVecEnv
from gpicl_envs.wrappers.vector import FlattenObservation


class TorchRLPlayer(Player):
    """Plays by a TorchRL policy with a `GRUModule`.

    Args:
        policy: reads the flat `observation`, `is_init` and `recurrent_state` (B, layers, W), and writes `logits` and
            the next state.
        state_shape: (layers, W).
    """

    name = "torchrl PPO"

    def __init__(self, policy: Any, state_shape: tuple[int, int]) -> None:
        self.policy, self.state_shape = policy, state_shape
        self.n_parameters = sum(weights.numel() for weights in policy.parameters())

    def start(self, made: Any, batch_size: int, generator: torch.Generator) -> Any:
        """An empty memory for each problem, and the generator."""
        return torch.zeros(batch_size, *self.state_shape), generator

    @torch.no_grad()
    def act(self, state: Any, observation: dict[str, torch.Tensor]) -> tuple[torch.Tensor, Any]:
        """Draw (B,) actions."""
        memory, generator = state
        flat = torch.cat([observation[name] for name in sorted(observation)], 1)  # as FlattenObservation has them
        seen = {"observation": flat, "is_init": torch.zeros(len(flat), 1, dtype=torch.bool), "recurrent_state": memory}
        shown = self.policy(TensorDict(seen, [len(flat)]))
        return draw_action(shown["logits"], False, generator), (shown["next", "recurrent_state"], generator)


def train_torchrl_ppo(
    env_id: str, seconds: float, num_envs: int, width: int, config: RewardConfig
) -> tuple[Player, dict[str, Any]]:
    """Train a GRU by PPO with the settings of one of our presets; return its player and the size of the training."""
    torch.manual_seed(0)
    vector: Any = gymnasium.make_vec(env_id, num_envs=num_envs, autoreset_mode="Disabled")
    batch, length = TorchRLVecEnv(FlattenObservation(vector)), vector.unwrapped.length
    memory = GRUModule(
        input_size=batch.observation_spec["observation"].shape[-1],
        hidden_size=width,
        in_keys=["observation", "recurrent_state", "is_init"],
        out_keys=["embed", ("next", "recurrent_state")],
    )
    env = TransformedEnv(batch, Compose(InitTracker(), memory.make_tensordict_primer()))
    scores = TensorDictModule(nn.Linear(width, batch.action_spec.shape[-1]), ["embed"], ["logits"])
    actor = ProbabilisticActor(
        scores, in_keys=["logits"], distribution_class=OneHotCategorical, return_log_prob=True, spec=batch.action_spec
    )
    model = ActorValueOperator(memory, actor, ValueOperator(nn.Linear(width, 1), in_keys=["embed"]))
    policy, value = model.get_policy_operator(), model.get_value_operator()
    advantage = GAE(
        gamma=config.discount,
        lmbda=config.gae_lambda,
        value_network=value,
        average_gae=True,
        shifted=True,
        deactivate_vmap=True,
    )
    loss = ClipPPOLoss(
        policy,
        value,
        clip_epsilon=config.clip,
        entropy_coeff=config.entropy,
        critic_coeff=config.value_weight * (1 - config.discount) ** 2,  # our critic's units are 1 / (1 − γ)
        loss_critic_type="l2",
    )
    optimizer = torch.optim.Adam(model.parameters(), config.learning_rate)
    collector = Collector(env, policy, frames_per_batch=num_envs * length, total_frames=-1)
    started, steps = time.perf_counter(), 0
    for shown in collector:
        with set_recurrent_mode(True):
            with torch.no_grad():
                advantage(shown)
            for _ in range(config.epochs):
                for rows in torch.randperm(num_envs).chunk(config.minibatches):
                    losses = loss(shown[rows])
                    optimizer.zero_grad()
                    sum(part for name, part in losses.items() if name.startswith("loss_")).backward()
                    nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
                    optimizer.step()
        steps += shown.numel()
        if time.perf_counter() - started > seconds:
            break
    collector.shutdown()
    used = time.perf_counter() - started
    network = TensorDictSequential(memory, scores)
    return TorchRLPlayer(network, (1, width)), {"seconds": round(used, 1), "steps": steps}
