"""Players at play, for tests."""

import torch

from gpicl_envs.rl.players.base import KnowingPlayer, Player
from gpicl_envs.rl.problems import ProblemDistribution
from gpicl_envs.rl.vector_env import ProblemVectorEnv


def returns(player: Player, made: ProblemDistribution, n: int, seed: int = 0) -> torch.Tensor:
    """(n, K) the return of each episode of n problems, the first ones of the streams seed … seed + n − 1."""
    venv = ProblemVectorEnv(n, problem=made.name, autoreset_mode="Disabled", device=made.device, **made.arguments)
    observation, _ = venv.reset(seed=seed)
    generator = torch.Generator(made.device if made.device.type == "cuda" else "cpu").manual_seed(seed)
    rewards = []
    if isinstance(player, KnowingPlayer):
        state = player.start_knowing(venv.distribution, venv.problems, generator)
    else:
        state = player.start(venv.distribution, n, generator)
    for _ in range(made.length):
        actions, state = player.act(state, observation)
        observation, reward, *_ = venv.step(actions)
        rewards.append(reward)
    return torch.stack(rewards, 1).view(n, made.n_episodes, made.episode_length).sum(2)
