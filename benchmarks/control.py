"""What the preset `control` reaches on environments of Gymnasium of which problems are made, beside no training.

    python benchmarks/control.py

Each policy is trained for some seconds on one thread, then plays problems that training never showed: new episodes,
and new projections where there are any. The policy that is not trained acts at random. Writes results/control.json.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gpicl_agents.models.base import SequenceAgent
from gpicl_agents.training.presets import REWARD_PRESETS
from gpicl_agents.training.reinforce import train_from_reward
from gpicl_agents.training.roll_out import returns_of
from gpicl_agents.training.run_setup import set_up
from gpicl_envs.evaluation.intervals import mean_interval
from machine import rounded, write_result

PRESET = REWARD_PRESETS["control"]
ENVIRONMENTS: dict[str, dict[str, Any]] = {  # the arguments of set_up, and seconds of training
    "Pendulum": {
        "env": "Pendulum-v1",
        "env_kwargs": {"max_episode_steps": 100},
        "wrapping": {"trials": 3},
        "batch_size": PRESET.batch_size,
        "seconds": 200.0,
    },
    "projected CartPole": {
        "env": "CartPole-v1",
        "env_kwargs": {"max_episode_steps": 50},
        "wrapping": {"trials": 5, "project": 16, "n_actions": 5},
        "batch_size": 64,
        "seconds": 700.0,
    },
}
SEED = 33_000_000


def main() -> None:
    """Train and score on each environment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=300)
    parser.add_argument("--speed", type=float, default=1.0, help="by which the seconds of training are divided")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = {}
    for name, given in ENVIRONMENTS.items():
        seconds = given["seconds"] / args.speed
        rows[name] = given | {"seconds": seconds} | train_and_score(given, seconds, args.problems)
        print(name, rows[name], flush=True)
    write_result(Path(__file__), {"learner": PRESET.spec, "problems": args.problems, "environments": rows})


def train_and_score(given: dict[str, Any], seconds: float, problems: int) -> dict[str, Any]:
    """The returns before and after training."""
    policy, venv = set_up(PRESET.spec, **{name: value for name, value in given.items() if name != "seconds"})
    unseen = venv.description.unseen()
    before = returns(policy, unseen, problems)
    config = replace(PRESET.config, steps=10**5, max_seconds=seconds, evaluate_every=0)
    progress = train_from_reward(policy, venv, config)
    return {"steps": progress.step, "not trained": before, "trained": returns(policy, unseen, problems)}


def returns(policy: SequenceAgent, made: Any, problems: int) -> dict[str, list[float]]:
    """Mean and 95 % interval of the return of a problem, of its first and last episode, and of their difference."""
    found, _ = returns_of(policy, made, problems, SEED)
    first, last = found[:, 0], found[:, -1]
    parts = {"problem": found.sum(1), "first episode": first, "last episode": last, "gain": last - first}
    return {name: rounded(mean_interval(values)) for name, values in parts.items()}


if __name__ == "__main__":
    main()
