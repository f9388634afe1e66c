"""PPO in one file: a recurrent agent learns, from rewards alone, to learn a new problem inside every episode.

python examples/ppo_cleanrl_style.py [--feedback reward] [--iterations 120]

Each episode draws two of ten clusters and gives them the labels 0 and 1 at random: what an agent knows of the last
episode is worth nothing in the next, and without memory it is right half the time. This one reads the input, the
feedback, and its own previous action and reward (RL²: Duan et al. 2016, Wang et al. 2016), and remembers them in a GRU.
The update is PPO's (Schulman et al. 2017) on whole episodes, so that the GRU begins each of them empty.
"""

import argparse
import time
from typing import Any

import gymnasium
import torch
from torch import nn
from torch.distributions import Categorical

import gpicl_envs  # noqa: F401 (registers the ids)
from gpicl_envs.wrappers.vector import FlattenObservation, PreviousActionAndReward

N_CLASSES, LENGTH, NUM_ENVS = 2, 20, 256
WIDTH, LEARNING_RATE, EPOCHS, MINIBATCHES = 64, 3e-3, 4, 4
CLIP, ENTROPY, VALUE, MAX_NORM = 0.2, 0.02, 0.5, 0.5
# A prediction does not change what comes later, so it is credited with its own reward only. When predictions are also
# experiments (bandit feedback with many classes), a larger GAMMA credits what was learned from them.
GAMMA, GAE_LAMBDA = 0.0, 0.95


def make(split: str, feedback: str) -> Any:
    """The environment, with one row of numbers (B, F) as its observation."""
    env = gymnasium.make_vec(
        "GPICL-Clusters-v0",
        num_envs=NUM_ENVS,
        length=LENGTH,
        n_classes=N_CLASSES,
        n_features=64,
        projection="none",
        feedback=feedback,
        split=split,
    )
    return FlattenObservation(PreviousActionAndReward(env))


class Agent(nn.Module):
    """A GRU over the episode, with one head for the action and one for the value."""

    def __init__(self, n_inputs: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(n_inputs, WIDTH), nn.ReLU())
        self.memory = nn.GRU(WIDTH, WIDTH)
        self.actor, self.critic = nn.Linear(WIDTH, N_CLASSES), nn.Linear(WIDTH, 1)

    def forward(
        self, observation: torch.Tensor, state: torch.Tensor | None = None
    ) -> tuple[Categorical, torch.Tensor, torch.Tensor]:
        """(T, B, F) observations and a state (1, B, W), or none, → policies and values (T, B), and the next state."""
        hidden, state = self.memory(self.encoder(observation), state)
        return Categorical(logits=self.actor(hidden)), self.critic(hidden)[..., 0], state


def play(agent: Agent, env: Any, observation: torch.Tensor) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
    """One episode of every environment, from its first observation.

    Returns:
        Observations (T, B, F), actions, their log-probabilities, values and rewards (T, B); and the next observation.
    """
    state, steps = None, []
    with torch.no_grad():
        for _ in range(LENGTH):
            policy, value, state = agent(observation[None], state)
            action = policy.sample()
            following, reward, *_ = env.step(action[0])
            steps.append((observation, action[0], policy.log_prob(action)[0], value[0], reward))
            observation = following
    return tuple(torch.stack(part) for part in zip(*steps, strict=True)), observation


def advantages_of(rewards: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Generalised advantage estimates (T, B); the episode ends with the last reward, so nothing follows it."""
    advantages, last = torch.zeros_like(rewards), torch.zeros(NUM_ENVS)
    following = torch.cat([values[1:], torch.zeros(1, NUM_ENVS)])
    for t in reversed(range(LENGTH)):
        last = rewards[t] + GAMMA * following[t] - values[t] + GAMMA * GAE_LAMBDA * last
        advantages[t] = last
    return advantages


def update(agent: Agent, optimizer: torch.optim.Optimizer, batch: tuple[torch.Tensor, ...]) -> None:
    """PPO's epochs over minibatches of whole episodes."""
    observations, actions, log_probs, values, rewards = batch
    advantages = advantages_of(rewards, values)
    returns = advantages + values
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    for _ in range(EPOCHS):
        for rows in torch.randperm(NUM_ENVS).chunk(MINIBATCHES):
            policy, value, _ = agent(observations[:, rows])
            ratio = (policy.log_prob(actions[:, rows]) - log_probs[:, rows]).exp()
            clipped = ratio.clamp(1 - CLIP, 1 + CLIP)
            gain = torch.min(ratio * advantages[:, rows], clipped * advantages[:, rows]).mean()
            error = (value - returns[:, rows]).square().mean()
            optimizer.zero_grad()
            (VALUE * error - gain - ENTROPY * policy.entropy().mean()).backward()
            nn.utils.clip_grad_norm_(agent.parameters(), MAX_NORM)
            optimizer.step()


def main() -> None:
    """Train, then play unseen episodes of test examples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feedback", choices=["label", "reward"], default="label")
    parser.add_argument("--iterations", type=int, default=120)
    args = parser.parse_args()
    torch.manual_seed(0)
    env = make("train", args.feedback)
    agent = Agent(env.single_observation_space.shape[0])
    optimizer = torch.optim.Adam(agent.parameters(), LEARNING_RATE, eps=1e-5)
    observation, _ = env.reset(seed=0)
    start = time.perf_counter()
    for iteration in range(1, args.iterations + 1):
        batch, observation = play(agent, env, observation)
        update(agent, optimizer, batch)
        if iteration % 20 == 0:
            spent = time.perf_counter() - start
            print(f"iteration {iteration}, {spent:.0f} s: {100 * batch[-1].mean():.1f} % right while it explores")

    env = make("test", args.feedback)
    observation, _ = env.reset(seed=0)
    rewards = []
    for _ in range(8):
        batch, observation = play(agent, env, observation)
        rewards.append(batch[-1])
    right = 100 * torch.cat(rewards, 1).mean(1)
    print(f"{8 * NUM_ENVS} new episodes of test examples; chance is {100 / N_CLASSES:.0f} %. Correct:")
    print(f"{right[0]:.1f} % of the first predictions, {right[1:10].mean():.1f} % of the next nine,", end=" ")
    print(f"{right[10:].mean():.1f} % of the last ten.")


if __name__ == "__main__":
    main()
