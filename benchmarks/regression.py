"""What every meta-trained learner of the registry reaches on functions with the trainer's default settings.

    python benchmarks/regression.py [--seconds 60] [--workers 2] [--env-kwargs n_features=8 length=17 noise=0.5]

Each is `gpicl train --env ENV --learner NAME --max-seconds SECONDS`: the settings of the preset `regression` with the
learner's own defaults. It is then scored on unseen functions. Errors and distances are in units of the variance of the
functions' values, so that predicting 0 without learning has an error of 1. Failures are part of the table. With
several workers on as many idle cores each learner has one thread. Writes results/regression.json.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from gpicl_agents.training.presets import find_preset
from gpicl_agents.training.run_setup import set_up
from gpicl_agents.training.supervised import train
from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.jobs.job import Outcome, one_line
from gpicl_envs.jobs.local import local_runner
from gpicl_envs.learners.registry import make_learner, parse_assignments
from gpicl_envs.registration import find_environment
from gpicl_envs.tasks import make_tasks
from machine import write_result
from stepping import sequence_models

PRESET = find_preset("regression")
SEED = 9_000_000  # no other script or test evaluates on this stream
BASELINES = ("least-squares", "ridge", "kernel-ridge", "knn", "majority")
UNLIMITED = 1_000_000  # steps


@dataclass(frozen=True)
class Trial:
    """One learner: trained unless it is a baseline, then scored."""

    learner: str
    options: argparse.Namespace

    @property
    def title(self) -> str:
        """For progress."""
        return self.learner

    def run(self) -> Outcome:
        """Return the row of the table, or why there is none."""
        torch.set_num_threads(self.options.threads)
        try:
            return Outcome(self._row())
        except Exception as error:  # whatever a learner raises is its row
            return Outcome(error=one_line(error))

    def _row(self) -> dict[str, Any]:
        options, kwargs = self.options, parse_assignments(self.options.env_kwargs)
        functions = find_environment(options.env).arguments | kwargs
        tasks = make_tasks(**functions | {"split": "test", "device": options.device})
        learner: Any = None
        row: dict[str, Any] = {}
        if self.learner in BASELINES:
            learner = make_learner(self.learner, tasks=tasks)
        else:
            learner, venv = set_up(
                self.learner, batch_size=PRESET.batch_size, env=options.env, env_kwargs=kwargs, device=options.device
            )
            config = replace(PRESET.config, steps=UNLIMITED, max_seconds=options.seconds, evaluate_every=0)
            progress = train(learner, venv, replace(config, precision=options.precision))
            row = {"steps": progress.step, "seconds": progress.seconds, "plateau_end": progress.plateau_end}
        curve = evaluate(learner, tasks, episodes=options.episodes, seed=SEED, batch_size=64)
        scale = tasks.target_variance
        row |= {"name": learner.name, "parameters": learner.n_parameters}
        row |= {"error": [float(value) / scale for value in curve.final]}
        row |= {f"distance to {name}": float(values.mean()) / scale for name, values in curve.distances.items()}
        return row


def main() -> None:
    """Run, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default=PRESET.env)
    parser.add_argument("--env-kwargs", nargs="*", default=[])
    parser.add_argument("--learners", nargs="+", default=sequence_models())
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--episodes", type=int, default=1024)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32")
    options = parser.parse_args()
    trials, rows = [Trial(name, options) for name in (*options.learners, *BASELINES)], {}
    with local_runner(options.workers, time_limit=10 * options.seconds + 600) as run:
        for trial, outcome in run(trials):
            rows[trial.learner] = outcome.value or {"failed": outcome.error}
            print(f"{trial.learner}: {rows[trial.learner]}", flush=True)
    rows = dict(sorted(rows.items(), key=lambda item: item[1].get("error", [float("inf")])[0]))
    print(table(rows))
    write_result(Path(__file__), {"options": vars(options), "learners": rows})


def table(rows: dict[str, dict[str, Any]]) -> str:
    """The rows in Markdown, best first, failures last."""
    distances = list(dict.fromkeys(key for row in rows.values() for key in row if key.startswith("distance")))
    lines = [f"| learner | steps | error, last ten | {' | '.join(distances)} |", "|---" * (3 + len(distances)) + "|"]
    for name, row in rows.items():
        if "failed" in row:
            lines.append(f"| {name} | {row['failed'].split(': give')[0]} |" + " |" * (1 + len(distances)))
            continue
        mean, low, high = row["error"]
        cells = [f"{row['steps']:,}" if "steps" in row else "", f"{mean:.3f} [{low:.3f}, {high:.3f}]"]
        lines.append(f"| {' | '.join([name, *cells, *(f'{row[key]:.3f}' for key in distances)])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
