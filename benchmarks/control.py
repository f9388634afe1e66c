"""What the preset `control` reaches on environments of Gymnasium of which problems are made, beside no training.

    python benchmarks/control.py --seconds 300

Each policy is trained for some seconds on one thread, then plays problems that training never showed: new episodes,
and new projections where there are any. The policy that is not trained acts at random. Writes results/control.json.
"""

import argparse
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gpicl_agents.models.base import SequenceAgent
from gpicl_agents.training.presets import REWARD_PRESETS
from gpicl_agents.training.random_state import seeded
from gpicl_agents.training.reinforce import train_from_reward
from gpicl_agents.training.roll_out import episode_returns, roll_out
from gpicl_agents.training.run_setup import set_up
from gpicl_envs.evaluation.intervals import Interval, mean_interval
from gpicl_envs.learners.base import evaluating
from machine import write_result

PRESET = REWARD_PRESETS["control"]
PROBLEMS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {  # the environment, its arguments, the wrappers'
    "Pendulum": ("Pendulum-v1", {"max_episode_steps": 100}, {"trials": 3}),
    "projected CartPole": ("CartPole-v1", {"max_episode_steps": 50}, {"trials": 5, "project": 16, "n_actions": 3}),
    "CartPole": ("CartPole-v1", {"max_episode_steps": 100}, {"trials": 5}),
}
SEED = 33_000_000


def main() -> None:
    """Train and score on each environment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0, help="of training, for each environment")
    parser.add_argument("--problems", type=int, default=300)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = {name: row(*made, args.seconds, args.problems) for name, made in PROBLEMS.items()}
    write_result(Path(__file__), {"learner": PRESET.spec, "problems": args.problems, "environments": rows})


def row(env: str, env_kwargs: dict[str, Any], wrapping: dict[str, Any], seconds: float, problems: int) -> Any:
    """The returns before and after training."""
    policy, venv = set_up(PRESET.spec, batch_size=PRESET.batch_size, env=env, env_kwargs=env_kwargs, wrapping=wrapping)
    unseen = venv.description.unseen()
    before = returns(policy, unseen, problems)
    progress = train_from_reward(
        policy, venv, replace(PRESET.config, steps=10**5, max_seconds=seconds, evaluate_every=0)
    )
    scores = {"not trained": before, "trained": returns(policy, unseen, problems)}
    print(env, progress.step, scores, flush=True)
    return unseen.arguments | {"steps": progress.step, "seconds": progress.seconds, "return": scores}


def returns(policy: SequenceAgent, made: Any, problems: int) -> dict[str, list[float]]:
    """Mean and 95 % interval of the return of a problem, of its first and last episode, and of their difference."""
    with closing(made.make(problems)) as venv, evaluating(policy), seeded(SEED):
        found = episode_returns(roll_out(policy, venv, SEED), made.n_episodes).numpy()
    first, last = found[:, 0], found[:, -1]
    parts = {"problem": found.sum(1), "first episode": first, "last episode": last, "gain": last - first}
    return {name: rounded(mean_interval(values)) for name, values in parts.items()}


def rounded(interval: Interval) -> list[float]:
    """[mean, low, high]."""
    return [round(float(value), 2) for value in interval]


if __name__ == "__main__":
    main()
