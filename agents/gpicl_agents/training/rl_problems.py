"""What training from rewards asks of a vector environment: its sizes, its arguments, and problems never trained on."""

from dataclasses import dataclass
from typing import Any

import torch
from gymnasium.spaces import Dict

from gpicl_agents.models.base import SequenceAgent
from gpicl_agents.models.player import EXTRA_FEATURES
from gpicl_agents.models.policy import is_continuous
from gpicl_envs.envs.vector_env import InContextVectorEnv
from gpicl_envs.rl.vector_env import ProblemVectorEnv
from gpicl_envs.rl.wrapped_problems import WrappedProblems
from gpicl_envs.wrappers.problem_format import KEYS

POLICY = {"normalize_inputs": False, "value_head": True, "input_rank": 0}  # arguments of a policy with a critic


@dataclass(frozen=True)
class ForeignProblems:
    """Problems of another package's environment, of which only the sizes are known."""

    n_features: int
    n_actions: int

    @property
    def arguments(self) -> dict[str, Any]:
        """What must not change when a run is resumed."""
        return {"n_features": self.n_features, "n_actions": self.n_actions}


def trained_on(venv: Any) -> Any:
    """Return what a run keeps of its problems: an object with `arguments`."""
    env = venv.unwrapped
    if (made := description(venv)) is not None:
        return made
    if isinstance(env, InContextVectorEnv):
        return env.tasks
    return env.distribution if _is_plain(venv) else ForeignProblems(*rl_sizes(venv)[:2])


def description(venv: Any) -> WrappedProblems | None:
    """Return what a vector environment was made from; None if it was not `WrappedProblems.make`."""
    found = getattr(venv, "description", None)
    return found if isinstance(found, WrappedProblems) else None


def env_name(venv: Any) -> str:
    """Return the id of the environment, or the text that names it, without the size of the batch."""
    if (made := description(venv)) is not None:
        return made.env
    return venv.env_id if _is_plain(venv) else str(venv).replace(f", num_envs={venv.num_envs}", "")


def _is_plain(venv: Any) -> bool:
    """Whether these are problems of this package as they are: a wrapper may show other ones, such as projections."""
    return isinstance(venv, ProblemVectorEnv)


def unseen_problems(venv: Any, number: int) -> Any:
    """Return a vector environment of problems that training never shows; None where these cannot be told apart."""
    env = venv.unwrapped
    if (described := description(venv)) is not None:
        return described.unseen().make(number)
    if isinstance(env, InContextVectorEnv):
        unseen = env.tasks.unseen()._constructor_arguments()
        made = InContextVectorEnv(number, feedback=env.feedback, **unseen)
        made.reset(seed=0)
        return made
    if _is_plain(venv):
        unseen = env.distribution.unseen()._constructor_arguments()
        return ProblemVectorEnv(number, env.distribution.name, autoreset_mode="Disabled", **unseen)
    return None


def rl_sizes(venv: Any) -> tuple[int, int, bool]:
    """Return D, A and whether actions are continuous, of RL problems; raises ValueError if these are none.

    Args:
        venv: a vector environment that shows x, action, reward and start, and takes Discrete actions or a Box of them.
    """
    seen, actions = venv.single_observation_space, venv.single_action_space
    if not isinstance(seen, Dict) or set(seen.spaces) != set(KEYS):
        raise ValueError(
            f"Training from rewards needs a Dict of {', '.join(KEYS)}, given {seen}: make an id of in-context RL, such "
            "as GPICL-Bandit-v0, or wrap an environment in gpicl_envs.wrappers.Trials (gpicl train-rl --trials)."
        )
    return seen["x"].shape[0], seen["action"].shape[0], is_continuous(actions)  # type: ignore[index]


@dataclass(frozen=True)
class PolicySizes:
    """The sizes of a policy, as those of a distribution of episodes are named.

    Args:
        n_features: D + 2: the previous reward and the start of an episode are inputs too.
        n_classes: A.
        continuous_actions: whether an action is A numbers, not one of A.
        device: of the environment.
    """

    n_features: int
    n_classes: int
    continuous_actions: bool
    device: torch.device


def policy_sizes(venv: Any) -> PolicySizes:
    """Return the sizes of a policy for a vector environment of RL problems; raises ValueError if it is none."""
    d, a, continuous = rl_sizes(venv)
    return PolicySizes(d + EXTRA_FEATURES, a, continuous, getattr(venv.unwrapped, "device", torch.device("cpu")))


def check_rl(learner: SequenceAgent, venv: Any) -> Any:
    """Return the environment if a learner has the sizes for it; raises ValueError."""
    needed = policy_sizes(venv)
    an_action = (
        f"an action is {needed.n_classes} numbers"
        if needed.continuous_actions
        else f"there are {needed.n_classes} actions"
    )
    for name in ("n_features", "n_classes", "continuous_actions"):
        if (given := getattr(learner, name)) != getattr(needed, name):
            raise ValueError(
                f"{learner.name} is made for {name}={given}, but {env_name(venv)} needs {getattr(needed, name)}: "
                f"inputs are the {needed.n_features - EXTRA_FEATURES} features of x, the previous reward and the start "
                f"of an episode, and {an_action}."
            )
    return venv
