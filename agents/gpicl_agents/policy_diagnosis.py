"""Does an agent adapt within an in-context RL problem? Its gain on the tasks of its meta-training, and on unseen ones.

| the return rises within the problem on | diagnosis |
|---|---|
| unseen tasks | adapts on unseen tasks: it explores, and uses what it found |
| the tasks of meta-training alone | adapts on seen tasks only: it finds out which of them this is |
| neither | does not adapt |

The rise is the return of the last episode minus that of the first. If an episode is a single step, as in a bandit, it
is the mean reward of the last tenth of the steps minus that of the first tenth.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpicl_agents.diagnosis import checkpoint_folder
from gpicl_agents.evaluations import SEED
from gpicl_agents.models.base import SequenceAgent
from gpicl_agents.training.recorded import recorded_problems, recorded_wrapping
from gpicl_agents.training.roll_out import returns_of
from gpicl_envs.evaluation.intervals import Interval, mean_interval
from gpicl_envs.evaluation.protocol import SEEN_TASK, UNSEEN_TASK
from gpicl_envs.evaluation.return_curve import ReturnCurve
from gpicl_envs.registration import rl_environments
from gpicl_envs.rl.evaluate import evaluate_players
from gpicl_envs.rl.kinds import make_problems
from gpicl_envs.rl.players.base import Player
from gpicl_envs.rl.problems import ProblemDistribution
from gpicl_envs.rl.wrapped_problems import WrappedProblems

ON_UNSEEN = "adapts on unseen tasks"
ON_SEEN_ONLY = "adapts on seen tasks only"
NOT = "does not adapt"
PARTS = 10  # of a problem whose episodes are single steps


@dataclass(frozen=True)
class PolicyDiagnosis:
    """Whether a player adapts, and the evidence.

    Args:
        player: its name, and what it was meta-trained on.
        phase: `ON_UNSEEN`, `ON_SEEN_ONLY` or `NOT`.
        reasons: the evidence, one line each.
        gains: protocol → the rise within the problem, of which the phase follows.
    """

    player: str
    phase: str
    reasons: tuple[str, ...]
    gains: dict[str, Interval]


def diagnose_player(player: Player, made: ProblemDistribution, *, problems: int = 512) -> PolicyDiagnosis:
    """Play the tasks of meta-training, if their number is finite, and unseen ones; does the return rise within them?

    Args:
        player: a meta-trained agent, or any other player.
        made: the distribution of its meta-training.
        problems: of each evaluation.

    Raises:
        ValueError: a problem has one step, or one episode, so nothing can rise.
        PlayerCheckError: the player breaks the rules of `Player`.
    """
    _check_episodes(made.name, made.n_episodes)
    curves = {UNSEEN_TASK: _evaluate(player, made.unseen(), problems, UNSEEN_TASK)}
    if made.n_tasks is not None:
        curves = {SEEN_TASK: _evaluate(player, made, problems, SEEN_TASK)} | curves
    rises = {protocol: rise(curve) for protocol, curve in curves.items()}
    what = _compared(made.length if made.episode_length == 1 else None)
    number = "unlimited tasks" if made.n_tasks is None else f"{made.n_tasks:,} task{'s' * (made.n_tasks > 1)}"
    return _diagnosis(f"{player.name}, meta-trained on {number} of {made.name}", what, rises)


def diagnose_policy(agent: SequenceAgent, made: WrappedProblems, *, problems: int = 512) -> PolicyDiagnosis:
    """As `diagnose_player`, of a policy in problems made of any environment; a fixed projection counts as a task.

    Args:
        agent: a meta-trained policy.
        made: problems of its sizes, such as those of its meta-training.
        problems: of each evaluation.

    Raises:
        ValueError: a problem has one episode, or the policy is made for others.
    """
    _check_episodes(made.env, made.n_episodes)
    rises = {UNSEEN_TASK: _policy_rise(agent, made.unseen(), problems)}
    if fixed := made.fixed:
        rises = {SEEN_TASK: _policy_rise(agent, made, problems)} | rises
    parts = [f"{number:,} {name}{'s' * (number > 1)}" for name, number in fixed.items()]
    if made.project is not None and made.n_projections is None:
        parts = ["endless projections", *parts]
    what = " of ".join([*parts, made.env])
    return _diagnosis(f"{agent.name} on {what}", _compared(made.n_episodes if made.has_single_steps else None), rises)


def _policy_rise(agent: SequenceAgent, made: WrappedProblems, problems: int) -> tuple[float, float, Interval]:
    """As `rise`, of a policy."""
    returns, told = returns_of(agent, made, problems, SEED)
    # Problems of one task, or of one projection, are not independent: the fewer there are, the wider the interval.
    fixed = made.fixed
    tasks = told[f"{min(fixed, key=lambda name: fixed[name])}_id"] if fixed else None
    size = _part(made.n_episodes) if made.has_single_steps else 1
    first, last = returns[:, :size].mean(1), returns[:, -size:].mean(1)
    return float(first.mean()), float(last.mean()), mean_interval(last - first, tasks)


def _compared(steps: int | None) -> str:
    """What is compared: episodes, or parts of a problem of so many steps, each of which is an episode."""
    if steps is None:
        return "return of the first episode → of the last"
    return f"mean reward of the first {_part(steps)} steps → of the last"


def _check_episodes(name: str, episodes: int) -> None:
    if episodes == 1:
        raise ValueError(
            f"{name} with one episode has nothing before which the agent could have learned: give at least 2."
        )


def _diagnosis(title: str, what: str, rises: dict[str, tuple[float, float, Interval]]) -> PolicyDiagnosis:
    """What follows from the rises on unseen tasks, and on those of meta-training if their number is finite."""
    gains = {protocol: gain for protocol, (_, _, gain) in rises.items()}
    phase = NOT
    if gains[UNSEEN_TASK].low > 0:
        phase = ON_UNSEEN
    elif SEEN_TASK in gains and gains[SEEN_TASK].low > 0:
        phase = ON_SEEN_ONLY
    reasons = [f"{name}: {first:.2f} → {last:.2f}, gain {_signed(gain)}" for name, (first, last, gain) in rises.items()]
    return PolicyDiagnosis(title, phase, (f"{what}:", *reasons), gains)


def rise(curve: ReturnCurve) -> tuple[float, float, Interval]:
    """Return the mean return of the first and of the last episode, and the interval of their difference.

    If an episode is one step, these are mean rewards of the first and the last tenth of the steps.
    """
    size = 1
    if curve.episode_length == 1:
        size = _part(curve.rewards.shape[1])
        parts = np.concatenate([curve.rewards[:, :size], curve.rewards[:, -size:]], axis=1)
        curve = replace(curve, rewards=parts, episode_length=size)
    mean = curve.returns.mean(0) / size
    return float(mean[0]), float(mean[-1]), Interval(*(value / size for value in curve.gain))


def problems_of(
    learner: str, env: str | None, changes: dict[str, Any], device: str = "cpu"
) -> ProblemDistribution | WrappedProblems | None:
    """Return the in-context RL problems that a player was meta-trained on; None if it was trained on other tasks.

    Args:
        learner: as for `find_player`.
        env: id of the environment; None for what the checkpoint records. If that made problems of an environment, it
            makes them in the same way of this one.
        changes: arguments that replace those of the checkpoint.
        device: cpu or cuda.

    Raises:
        ValueError: the arguments make no problems.
    """
    if "device" in changes:
        raise ValueError("--env-kwargs has device, which has an option of its own: give --device.")
    folder = checkpoint_folder(learner)
    if folder is not None and (wrapped := recorded_wrapping(folder, env, **changes)) is not None:
        return wrapped
    if env is not None:
        known = rl_environments()
        return make_problems(**known[env].arguments, device=device, **changes) if env in known else None
    return None if folder is None else recorded_problems(folder, device=device, **changes)


def _evaluate(player: Player, made: ProblemDistribution, problems: int, protocol: str) -> ReturnCurve:
    return evaluate_players([player], made, problems=problems, seed=SEED, protocol=protocol)[0]


def _part(steps: int) -> int:
    """The steps of a tenth of a problem, at least one."""
    return max(1, steps // PARTS)


def _signed(gain: Interval) -> str:
    return "{:+.2f} [{:+.2f}, {:+.2f}]".format(*map(float, gain))
