"""`Progress`: where a training run stands."""

import math
from dataclasses import dataclass

from gpicl_envs.evaluation.curve import LearningCurve


@dataclass
class Progress:
    """The state of a training run; given to the `report` function after every step.

    Args:
        step: steps done.
        seconds: training time so far, evaluation not counted.
        loss: mean cross-entropy of the last step's episodes, in nats; for regression, their mean squared error over the
            variance of the targets.
        learning_rate: of the last step.
        gradient_norm: before clipping.
        accuracy: over the last ten positions of the last step's episodes; NaN for regression.
        explained: for regression, the fraction of the targets' variance that the predictions explain at the same
            positions; NaN for labels.
        returned: the mean return of unseen problems in the last evaluation, when training from rewards; else NaN.
        plateau_end: the step at which the loss plateau ended, or None (`gpicl_agents.training.plateau.Plateau`).
        on_plateau: whether it has not ended, after enough steps to tell.
        curve: the last evaluation on unseen tasks, if any.
        curves: the last evaluations by name: `"unseen-task"`, `"seen-task"`, or that of an unseen dataset.
        evaluated: whether they are from this step.
        stopped: why training ended before its last step: `"target"`, `"gain"`, `"interrupted"`, what the `report`
            function set, or empty.
    """

    step: int = 0
    seconds: float = 0.0
    loss: float = math.nan
    learning_rate: float = 0.0
    gradient_norm: float = math.nan
    accuracy: float = math.nan
    explained: float = math.nan
    returned: float = math.nan
    plateau_end: int | None = None
    on_plateau: bool = False
    curve: LearningCurve | None = None
    curves: dict[str, LearningCurve] | None = None
    evaluated: bool = False
    stopped: str = ""
