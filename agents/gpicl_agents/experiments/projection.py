"""Random projections and environments never seen.

Kirsch et al. (2023) report that an agent becomes general by meta-training on random projections of observations and
actions. Here a policy is meta-trained from rewards on CartPole, or on random MDPs, whose observations are projected to
16 numbers and whose actions are permuted among 5, by one of a number of projections that each problem draws. Then it
plays problems of both environments under new projections, so one of them it has never seen. What it earns in an
episode is given as a fraction of what the best policy earns (in CartPole, every step of the 50); the gain is that of
the last of five episodes minus that of the first. The policy that is not trained plays at random.
"""

from pathlib import Path
from typing import Any

from gpicl_agents.evaluations import Evaluation
from gpicl_agents.experiments.engine.findings import percent, points, select
from gpicl_agents.experiments.engine.plots import draw_estimate, save_figure
from gpicl_agents.experiments.engine.policy_trial import PolicyTrial
from gpicl_agents.experiments.engine.trial import Records, TrialRecord
from gpicl_envs.evaluation.protocol import SEEN_TASK, UNSEEN_DATASET, UNSEEN_TASK
from gpicl_envs.report.figures import PALETTE, panels

ENVIRONMENTS = {"CartPole": "CartPole-v1", "MDPs": "GPICL-TabularMDP-v0"}
PROJECTIONS: dict[str, tuple[int | None, ...]] = {"small": (1, 16, 256, None), "paper": (1, 4, 16, 64, 256, 1024, None)}
SEEDS = {"small": 1, "paper": 3}
SECONDS = {"small": 150.0, "paper": 3600.0}
PPO: dict[str, Any] = {
    **{"steps": 100_000, "learning_rate": 2e-3, "warmup_steps": 10, "epochs": 4, "minibatches": 4},
    **{"discount": 0.97, "gae_lambda": 0.9, "clip_norm": 0.5, "evaluate_every": 0, "checkpoint_every": 20},
}
NOT_TRAINED = "nothing"


def trials(scale: str) -> list[PolicyTrial]:
    """Each environment with each number of projections and each seed, and the policy that is not trained."""
    made = [
        _trial({"trained on": name, "n_projections": number, "seed": seed}, SECONDS[scale])
        for name in ENVIRONMENTS
        for number in PROJECTIONS[scale]
        for seed in range(SEEDS[scale])
    ]
    return [*made, _trial({"trained on": NOT_TRAINED, "n_projections": None, "seed": 0}, None)]


def _trial(axes: dict[str, Any], seconds: float | None) -> PolicyTrial:
    trained_on, number = axes["trained on"], axes["n_projections"]
    own = {"env": ENVIRONMENTS.get(trained_on, ENVIRONMENTS["CartPole"]), "n_projections": number}
    evaluations = [
        Evaluation(name, UNSEEN_TASK if name == trained_on else UNSEEN_DATASET, {"env": env})
        for name, env in ENVIRONMENTS.items()
    ]
    if trained_on != NOT_TRAINED and number is not None:
        evaluations.append(Evaluation(SEEN_TASK, SEEN_TASK, own))
    return PolicyTrial(
        axes=axes,
        learner="gru",
        learner_kwargs={"width": 128},
        env_kwargs=own,
        train_kwargs=None if seconds is None else PPO | {"seed": axes["seed"], "max_seconds": seconds},
        batch_size=64,
        evaluations=tuple(evaluations),
    )


def draw(records: Records, folder: Path) -> list[str]:
    """For each environment that is played: the last episode, and the gain, by number of projections."""
    figure, axes = panels(4, across=2)
    for row, (played, _) in enumerate(ENVIRONMENTS.items()):
        level, gain = axes[2 * row], axes[2 * row + 1]
        for number, trained_on in enumerate(ENVIRONMENTS):
            for record in select(records, **{"trained on": trained_on}):
                where = _place(record, records) + 0.12 * (number - 0.5)
                style: Any = {
                    "color": PALETTE[number],
                    "markerfacecolor": PALETTE[number] if trained_on == played else "none",
                }
                draw_estimate(level, where, record.results[played].final, **style)
                draw_estimate(gain, where, record.results[played].gain, **style)
        for record in select(records, **{"trained on": NOT_TRAINED}):
            level.axhline(100 * record.results[played].final.mean, color="#888888", linestyle=":", label="not trained")
        gain.axhline(0, color="#888888", linewidth=0.8, linestyle=":")
        level.set(title=f"{played}, last episode", ylabel="% of the best return")
        gain.set(title=f"{played}, last episode minus first", ylabel="points")
    numbers = _numbers(records)
    for one in axes:
        one.set_xticks(range(len(numbers)), ["∞" if number is None else str(number) for number in numbers])
        one.set_xlabel("projections in meta-training")
    for number, trained_on in enumerate(ENVIRONMENTS):
        axes[0].plot([], [], "o", color=PALETTE[number], label=f"trained on {trained_on}")
    return [save_figure(figure, folder, "projection")]


def findings(records: Records) -> list[str]:
    """What each policy earns where it was trained, and in the environment that it has never seen."""
    lines = []
    for trained_on in ENVIRONMENTS:
        (other,) = set(ENVIRONMENTS) - {trained_on}
        for record in sorted(select(records, **{"trained on": trained_on}), key=lambda one: _place(one, records)):
            number = record.axes["n_projections"]
            many = "endless projections" if number is None else f"{number} projection{'s' * (number > 1)}"
            own, unseen = record.results[trained_on], record.results[other]
            lines.append(
                f"{trained_on}, {many}: {percent(own.final)} in the last episode under new projections (gain "
                f"{points(own.gain)}); in {other}, never seen, {percent(unseen.final)} (gain {points(unseen.gain)})."
            )
    for record in select(records, **{"trained on": NOT_TRAINED}):
        found = ", ".join(f"{name} {percent(record.results[name].final)}" for name in ENVIRONMENTS)
        lines.append(f"Not trained, so playing at random: {found}.")
    return lines


def result(record: TrialRecord) -> str:
    """The last episode, and the gain, in both environments."""
    return "; ".join(f"{name} {percent(one.final)}, gain {points(one.gain)}" for name, one in record.results.items())


def _numbers(records: Records) -> list[int | None]:
    """The numbers of projections, ascending; endless ones last."""
    found = {record.axes["n_projections"] for record in records}
    return sorted(found, key=lambda number: float("inf") if number is None else number)


def _place(record: TrialRecord, records: Records) -> int:
    return _numbers(records).index(record.axes["n_projections"])
