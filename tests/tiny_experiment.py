"""An experiment of seconds, which tests of the engine share."""

from pathlib import Path
from types import ModuleType

from gpicl_agents.evaluations import Evaluation
from gpicl_agents.experiments.engine.experiment import Experiment
from gpicl_agents.experiments.engine.plots import draw_estimate, save_figure
from gpicl_agents.experiments.engine.trial import Trial
from gpicl_envs.report.figures import PALETTE, panels

TASKS = {"dataset": "Digits", "n_features": 16, "length": 12}
TRAINING = {"steps": 6, "warmup_steps": 1, "evaluate_every": 3, "evaluate_episodes": 4, "checkpoint_every": 2}
SMALL = {"width": 16, "n_layers": 1, "n_heads": 1, "input_rank": 8}
NEW = {"split": "test", "n_tasks": None}


def trial(n_tasks: int, learner: str = "transformer") -> Trial:
    evaluations = (Evaluation("seen-task", "seen-task", {}, 8), Evaluation("unseen-task", "unseen-task", NEW, 8))
    missing = Evaluation("SVHN", "unseen-dataset", NEW | {"dataset": "SVHN"}, 8)
    learner_kwargs = SMALL if learner == "transformer" else {}
    env_kwargs = TASKS | {"n_tasks": n_tasks}
    return Trial({"n_tasks": n_tasks}, learner, learner_kwargs, env_kwargs, TRAINING, 4, (*evaluations, missing))


def draw(records, folder: Path) -> list[str]:
    figure, (axes,) = panels(1)
    for record in records:
        draw_estimate(axes, record.axes["n_tasks"], record.results["seen-task"].gain, color=PALETTE[0])
    return [save_figure(figure, folder, "tiny")]


def tiny(*learners: str) -> Experiment:
    trials = [trial(2**i, learner) for i, learner in enumerate(learners or ("transformer",) * 3)]
    scales = {"small": trials, "paper": trials[:1]}
    return Experiment(
        "tiny",
        "Tiny",
        "For tests.",
        scales.__getitem__,
        draw,
        lambda records: [f"{len(records)} trials."],
        lambda record: "done",
    )


def tiny_module() -> ModuleType:
    """The same as a module, as experiments are found by name."""
    module, experiment = ModuleType("tiny", "Tiny.\n\nFor tests."), tiny()
    for name in ("trials", "draw", "findings", "result"):
        setattr(module, name, getattr(experiment, name))
    return module
