"""`roll_out`: whole problems played by a sequence model, one in each environment.

With feedback `"label"`, what is shown does not depend on the actions, so one parallel pass plays all positions. With
bandit feedback, and in RL problems, positions are played one after the other.
"""

from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
from gymnasium.vector import AutoresetMode
from torch.nn.functional import one_hot

from gpicl_agents.models.base import SequenceAgent
from gpicl_agents.models.player import read_observation
from gpicl_agents.models.policy import ActionUnits, make_policy
from gpicl_agents.training.random_state import seeded
from gpicl_agents.training.rl_problems import check_rl, env_name
from gpicl_envs.envs.stream_env import StreamVectorEnv
from gpicl_envs.envs.vector_env import InContextVectorEnv
from gpicl_envs.learners.base import evaluating
from gpicl_envs.rl.wrapped_problems import WrappedProblems


@dataclass
class RollOut:
    """B problems of N steps played by a policy.

    Args:
        x: (B, N, D) inputs.
        feedback: (B, N, K) the feedback before each: a one-hot label, ± the one-hot action, or the action, one-hot or
            in units of the bounds.
        actions: (B, N) actions, or labels predicted; (B, N, A) continuous actions, in units of the bounds.
        rewards: (B, N).
        log_probability: (B, N) of the actions, in nats.
        values: (B, N) the returns that the critic expected; zeros without one.
        alive: (B, N) bool, whether the problem had not ended before the step; all, by default.
    """

    x: torch.Tensor
    feedback: torch.Tensor
    actions: torch.Tensor
    rewards: torch.Tensor
    log_probability: torch.Tensor
    values: torch.Tensor
    alive: torch.Tensor


@torch.no_grad()
def roll_out(learner: SequenceAgent, env: Any, number: int = 0, *, greedy: bool = False) -> RollOut:
    """Play one whole problem in each environment.

    Args:
        learner: the policy, whose outputs are read by `make_policy`.
        env: an unwrapped environment of supervised problems, whose rules give rewards and feedback; or any vector
            environment that shows x, action, reward and start.
        number: which problem: of supervised ones, of each environment's stream; of others, the seed of the reset.
        greedy: take the most likely action instead of drawing one from torch's global stream.
    """

    def act(outputs: torch.Tensor) -> torch.Tensor:
        policy = make_policy(outputs, learner.log_std)
        return policy.mode if greedy else policy.sample()

    if not isinstance(env.unwrapped, InContextVectorEnv):
        return _play(learner, env, number, act)
    env = env.unwrapped
    episodes = env.sample_episodes(number)
    predict = _predict_from_rewards if env.feedback == "reward" else _predict_from_labels
    x, y = episodes.x, episodes.y
    feedback, actions, outputs, values = predict(learner, env, x, y, act)
    rewards = env.action_type.reward(actions.flatten(), y.flatten()).view(y.shape)
    chosen = make_policy(outputs, learner.log_std).log_prob(actions)
    return RollOut(x, feedback, actions, rewards, chosen, values, torch.ones_like(rewards) > 0)


def _predict_from_labels(
    learner: SequenceAgent, env: InContextVectorEnv, x: torch.Tensor, y: torch.Tensor, act: Any
) -> tuple[torch.Tensor, ...]:
    """Return the feedback, the labels before; the actions; the outputs and values of the learner."""
    feedback = torch.zeros(*y.shape, env.tasks.n_classes, device=x.device)
    feedback[:, 1:] = one_hot(y[:, :-1], env.tasks.n_classes).float()
    outputs, values, _ = learner.act_and_value(learner.start(len(x)), x, feedback)
    return feedback, act(outputs), outputs, values


def _predict_from_rewards(
    learner: SequenceAgent, env: InContextVectorEnv, x: torch.Tensor, y: torch.Tensor, act: Any
) -> tuple[torch.Tensor, ...]:
    """As from labels, position by position, since the feedback depends on the actions."""
    state = learner.start(len(x))
    before = torch.zeros(len(x), env.tasks.n_classes, device=x.device)
    columns: list[tuple[torch.Tensor, ...]] = []
    for n in range(x.shape[1]):
        outputs, value, state = learner.act_and_value(state, x[:, n : n + 1], before[:, None])
        action = act(outputs[:, 0])
        columns.append((before, action, outputs[:, 0], value[:, 0]))
        before = env.action_type.feedback_for(action, y[:, n])
    return tuple(torch.stack(column, 1) for column in zip(*columns, strict=True))


def _play(learner: SequenceAgent, venv: Any, seed: int, act: Any) -> RollOut:
    """Play RL problems, of any vector environment, until the last ends; `alive` masks what follows each end."""
    observation, state, device = venv.reset(seed=seed)[0], learner.start(venv.num_envs), learner.device
    returns_tensors = isinstance(observation["x"], torch.Tensor)
    alive = torch.ones(venv.num_envs, dtype=torch.bool, device=device)
    units = ActionUnits(venv.single_action_space, device)
    columns: list[tuple[torch.Tensor, ...]] = []
    # The length of all problems, if it is known: whether some still last is asked of a GPU otherwise, which waits.
    length = venv.length if isinstance(venv, StreamVectorEnv) else None
    waits = length is None and venv.metadata.get("autoreset_mode") is AutoresetMode.DISABLED
    while bool(alive.any()) if length is None else len(columns) < length:
        shown = {name: torch.as_tensor(value, device=device) for name, value in observation.items()}
        x, feedback = read_observation(shown, units)
        if length is None:  # by the rules of another package
            _check_finite(venv, len(columns), x=x)
        outputs, value, state = learner.act_and_value(state, x[:, None], feedback[:, None])
        action = act(outputs[:, 0])
        given = units.to_environment(action)
        observation, reward, terminated, truncated, _ = venv.step(given if returns_tensors else given.cpu().numpy())
        reward = torch.as_tensor(reward, dtype=torch.float32, device=device)
        if length is None:
            _check_finite(venv, len(columns), reward=reward)
        columns.append((x, feedback, action, reward * alive, outputs[:, 0], value[:, 0], alive))
        ended = torch.as_tensor(terminated, device=device) | torch.as_tensor(truncated, device=device)
        alive = alive & ~ended
        if waits and bool(ended.any()):  # steps of rows that have ended are an error there: they begin another problem
            observation = venv.reset(options={"reset_mask": ended.cpu().numpy()})[0]
    x, feedback, actions, rewards, outputs, values, lived = (torch.stack(one, 1) for one in zip(*columns, strict=True))
    chosen = make_policy(outputs, learner.log_std).log_prob(actions)
    return RollOut(x, feedback, actions, rewards, chosen, values, lived)


def _check_finite(venv: Any, step: int, **shown: torch.Tensor) -> None:
    """Raise FloatingPointError for numbers of an environment from which nothing can be learned."""
    for name, values in shown.items():
        if not bool(values.isfinite().all()):
            wrong = values[~values.isfinite()][0].item()
            raise FloatingPointError(
                f"{env_name(venv)} showed {name} = {wrong} at step {step}: correct the environment."
            )


def episode_returns(played: RollOut, episodes: int) -> torch.Tensor:
    """Return (B, K) float64, the return of each of the K episodes of RL problems, by the starts that the policy saw."""
    number = ((played.x[..., -1] * played.alive).cumsum(1) - 1).long()  # rows that have ended play on, uncounted
    found = torch.zeros(len(number), episodes, dtype=torch.float64)
    return found.scatter_add_(1, number.cpu(), (played.rewards * played.alive).double().cpu())


def returns_of(policy: SequenceAgent, made: WrappedProblems, problems: int, seed: int) -> tuple[Any, dict[str, Any]]:
    """Return what a policy earns in each episode (B, K) float64 of B problems, and what their `reset` tells of them."""
    with closing(made.make(problems)) as venv, evaluating(policy), seeded(seed):
        check_rl(policy, venv)
        returns = episode_returns(roll_out(policy, venv, seed), made.n_episodes).numpy()
        return returns, venv.reset(seed=seed)[1]
