"""A recurrent policy of plain torch learns to explore: PPO on bandits in one file, then scored beside the textbook.

python examples/bandit_recurrent_ppo.py [--iterations 100]

Each problem is a new bandit. The GRU reads the previous action and its reward, and keeps its memory over the problem:
there it learns (RL², Duan et al. 2016). `evaluate_players` scores it and others on the same 1,000 unseen bandits.
"""

import argparse
from typing import Any

import gymnasium
import torch
from torch import nn
from torch.distributions import Categorical

from gpicl_envs import Player, evaluate_players
from gpicl_envs.rl.players.registry import make_player

WIDTH, LEARNING_RATE, EPOCHS, DISCOUNT, CLIP, ENTROPY = 32, 1e-2, 8, 0.9, 0.2, 0.01


class Policy(nn.Module, Player):
    """A GRU over the problem, with one head for the actions and one for the value; and a player to be evaluated."""

    def __init__(self, n_inputs: int, n_actions: int) -> None:
        super().__init__()
        self.memory, self.name = nn.GRU(n_inputs, WIDTH), "my GRU"
        self.actor, self.critic = nn.Linear(WIDTH, n_actions), nn.Linear(WIDTH, 1)

    def forward(self, seen: torch.Tensor, state: Any = None) -> tuple[Categorical, torch.Tensor, torch.Tensor]:
        """(N, B, F) and a state (1, B, W), or none, → policies and values (N, B), and the next state."""
        hidden, state = self.memory(seen, state)
        return Categorical(logits=self.actor(hidden)), self.critic(hidden)[..., 0], state

    def start(self, made: Any, batch_size: int, generator: torch.Generator) -> Any:
        """The state of B problems: no memory yet."""
        return None, generator

    def act(self, state: Any, observation: dict[str, torch.Tensor]) -> tuple[torch.Tensor, Any]:
        """(B,) actions, drawn with the generator of the evaluation, and the next state."""
        policy, _, memory = self(self.rows(observation)[None], state[0])
        return torch.multinomial(policy.probs[0], 1, generator=state[1])[:, 0], (memory, state[1])

    def rows(self, observation: dict[str, torch.Tensor]) -> torch.Tensor:
        """(B, F): what is seen, the previous action and its reward, and whether an episode starts."""
        return torch.cat([observation[name] for name in ("x", "action", "reward", "start")], 1)


def train(policy: Policy, env: Any, iterations: int) -> None:
    """PPO (Schulman et al. 2017): each iteration plays one whole problem in every environment, and learns from it."""
    optimizer = torch.optim.Adam(policy.parameters(), LEARNING_RATE)
    observation, generator = env.reset(seed=0)[0], torch.Generator().manual_seed(0)
    for _ in range(iterations):
        steps, state = [], policy.start(None, env.num_envs, generator)
        with torch.no_grad():
            for _ in range(env.unwrapped.length):
                (action, state), before = policy.act(state, observation), policy.rows(observation)
                observation, reward, *_ = env.step(action)
                steps.append((before, action, reward))
            seen, actions, rewards = (torch.stack(part) for part in zip(*steps, strict=True))
            (old, values, _), returns = policy(seen), rewards.clone()
            for n in reversed(range(len(rewards) - 1)):
                returns[n] += DISCOUNT * returns[n + 1]
            gain = (returns - values - (returns - values).mean()) / (returns - values).std()
        for _ in range(EPOCHS):
            new, values, _ = policy(seen)
            ratio = (new.log_prob(actions) - old.log_prob(actions)).exp()
            surrogate = torch.min(ratio * gain, ratio.clamp(1 - CLIP, 1 + CLIP) * gain).mean()
            optimizer.zero_grad()
            (0.5 * (values - returns).square().mean() - surrogate - ENTROPY * new.entropy().mean()).backward()
            optimizer.step()


def main() -> None:
    """Train, then score."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--iterations", type=int, default=100)
    torch.manual_seed(0)
    env: Any = gymnasium.make_vec("GPICL-Bandit-v0", num_envs=128, n_arms=5, length=40)
    made = env.unwrapped.distribution.unseen()
    policy = Policy(made.n_features + made.n_actions + 2, made.n_actions)
    train(policy, env, parser.parse_args().iterations)
    others = [make_player(name, made) for name in ("uniform", "thompson-sampling")]
    for curve in evaluate_players([policy, *others], made):
        print(f"{curve.player}: return {curve.total_return} in 1,000 unseen problems")


if __name__ == "__main__":
    main()
