"""`set_up`: the learner and the vector environment of a training run, made to fit each other."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import gymnasium
import torch

from gpicl_agents.training.distributed import Processes, local_device
from gpicl_agents.training.rl_problems import POLICY, policy_sizes
from gpicl_envs.envs.vector_env import InContextVectorEnv
from gpicl_envs.learners.registry import LearnerSpec
from gpicl_envs.registration import find_environment, rl_environments
from gpicl_envs.rl.wrapped_problems import WrappedProblems
from gpicl_envs.sampling.distribution import check_device


def set_up(
    learner: str,
    *,
    batch_size: int,
    learner_kwargs: Mapping[str, Any] | None = None,
    env: str = "GPICL-MNIST-v0",
    env_kwargs: Mapping[str, Any] | None = None,
    wrapping: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> tuple[Any, Any]:
    """Return a new learner and the vector environment to train it on, for `train` or `train_from_reward`.

    For regression, a learner with the argument `value_scale` is given the standard deviation of the targets. For RL
    problems, a `SequenceAgent` is made a policy with a critic, which reads observations as they are.

    Args:
        learner: registered name, `module:Class` or checkpoint folder; arguments may follow (see `LearnerSpec`).
        batch_size: B, episodes per step; under `accelerate launch`, of all processes together.
        learner_kwargs: arguments of the learner, which replace those in the text.
        env: environment id; with `wrapping`, of any Gymnasium environment.
        env_kwargs: arguments of the environment.
        wrapping: what makes RL problems of it, such as trials=10 or project=16: arguments of `WrappedProblems`.
        seed: of the initial weights.
        device: cpu or cuda; under `accelerate launch`, each process has its own GPU.

    Raises:
        ValueError: a name or argument is unknown or not allowed.
    """
    for name, option in (("device", "device"), ("num_envs", "batch_size")):
        if name in (env_kwargs or {}):
            raise ValueError(f"env_kwargs has {name}, which is given by {option} (--{option.replace('_', '-')}).")
    device = local_device(device)
    num_envs = Processes(device).local_batch_size(batch_size)
    if wrapping:
        venv = WrappedProblems(env, env_kwargs=dict(env_kwargs or {}), **wrapping).make(num_envs)
    else:
        arguments = {"autoreset_mode": "Disabled"} if env in rl_environments() else {}
        id_ = env if env in rl_environments() else find_environment(env).id
        venv = gymnasium.make_vec(id_, num_envs=num_envs, device=device, **arguments | dict(env_kwargs or {}))
    with ExitStack() as refused, torch.random.fork_rng():
        refused.callback(venv.close)
        tasks, defaults = _sizes(venv, device)
        torch.manual_seed(seed)  # for a learner whose constructor has no seed
        try:
            made = LearnerSpec.parse(learner, **(learner_kwargs or {})).make_for(tasks, seed=seed, **defaults)
        except ValueError as error:
            sizes = f"n_features={tasks.n_features} and n_classes={tasks.n_classes}"
            raise ValueError(f"Learner {learner!r} with {sizes}: {error}") from error
        refused.pop_all()
    return made, venv


def _sizes(venv: Any, device: str) -> tuple[Any, dict[str, Any]]:
    """What a learner is made for, and the arguments that it is given; ValueError if these are no problems of ours."""
    if isinstance(venv.unwrapped, InContextVectorEnv):
        tasks = venv.unwrapped.tasks
        return tasks, {"value_scale": tasks.target_variance**0.5} if tasks.is_regression else {}
    policy = replace(policy_sizes(venv), device=check_device(device))
    return policy, {"continuous_actions": policy.continuous_actions} | POLICY
