"""`WrappedProblems`: in-context RL problems made of any environment, as a description that a record can hold."""

from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import gymnasium

from gpicl_envs.errors import check_integer
from gpicl_envs.registration import environments, find_rl_environment, rl_environments
from gpicl_envs.rl.kinds import make_problems
from gpicl_envs.rl.problems import ProblemDistribution
from gpicl_envs.wrappers import VectorRandomProjection, VectorTrials
from gpicl_envs.wrappers.vector import TorchToNumpy


@dataclass(frozen=True)
class WrappedProblems:
    """In-context RL problems that `VectorTrials` and `VectorRandomProjection` make of an environment.

    Args:
        env: id of a Gymnasium environment, or of one of this package's in-context RL problems, to project them.
        trials: K, the episodes of a problem, as `VectorTrials(env, episodes=K)`; None for problems of this package,
            which have their own.
        project: D, to which `VectorRandomProjection(env, n_features=D)` projects observations, anew in each problem;
            None leaves observations and actions as they are.
        n_actions: A, at least the environment's number of actions, which is the default; only with `project`.
        n_projections: n for a fixed set of projections; None for endless ones.
        env_kwargs: arguments of the environment; max_episode_steps ends its episodes if nothing else does.

    Raises:
        ValueError: the environment is none for RL, or the arguments do not go together.

    Example:
        >>> made = WrappedProblems("CartPole-v1", trials=3, project=16, n_actions=5)
        >>> made.make(4).reset(seed=0)[0]["x"].shape
        (4, 16)
    """

    env: str
    trials: int | None = None
    project: int | None = None
    n_actions: int | None = None
    n_projections: int | None = None
    env_kwargs: dict[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Keep whole numbers as ints; raise ValueError for arguments that do not go together."""
        if self.env in environments():
            find_rl_environment(self.env)
        is_own = self.env in rl_environments()
        if self.trials is None and not is_own:
            raise ValueError(
                f"{self.env} has no problems of several episodes: give trials, how many make one, such as --trials 10."
            )
        if self.trials is not None and is_own:
            raise ValueError(
                f"trials={self.trials} is not for {self.env}, whose problems have episodes of their own: leave it out "
                "(--trials None)."
            )
        if (steps := self.env_kwargs.get("max_episode_steps")) is not None:
            check_integer("max_episode_steps", steps, 1)
        for name in ("trials", "project", "n_actions", "n_projections"):
            if (given := getattr(self, name)) is not None:
                object.__setattr__(self, name, check_integer(name, given, 1))
        for name in ("n_actions", "n_projections"):
            if self.project is None and (given := getattr(self, name)) is not None:
                raise ValueError(f"{name}={given} is of random projections: give project, too, such as --project 16.")

    @property
    def arguments(self) -> dict[str, Any]:
        """What describes the problems."""
        return asdict(self)

    @property
    def n_episodes(self) -> int:
        """K, the episodes of a problem."""
        return self._own().n_episodes if self.trials is None else self.trials

    @property
    def has_single_steps(self) -> bool:
        """Whether an episode is a single step, as a pull of a bandit is."""
        return self.trials is None and self._own().episode_length == 1

    @property
    def fixed(self) -> dict[str, int]:
        """How many projections and tasks there are, each if it is a fixed number."""
        tasks = None if self.trials is not None else self._own().n_tasks
        numbers = {"projection": self.n_projections, "task": tasks}
        return {name: number for name, number in numbers.items() if number is not None}

    def make(self, num_envs: int) -> Any:
        """Return the vector environment, of NumPy arrays; its attribute `description` is this.

        Raises:
            ValueError: an argument is out of range, or the environment cannot be wrapped.
            gymnasium.error.Error: there is no such environment.
        """
        with ExitStack() as refused:  # by a wrapper: the environment may have processes
            try:
                venv: Any = gymnasium.make_vec(self.env, num_envs=num_envs, **self.env_kwargs)
                refused.callback(venv.close)
                venv = TorchToNumpy(venv) if self.trials is None else VectorTrials(venv, self.trials)
                if self.project is not None:
                    venv = VectorRandomProjection(venv, self.project, self.n_actions, n_projections=self.n_projections)
            except (TypeError, ImportError) as error:  # the constructor's, an unsuitable wrapper's, a module's
                raise ValueError(f"{self.env}: {error}") from error
            refused.pop_all()
        venv.description = self
        return venv

    def unseen(self) -> "WrappedProblems":
        """Return problems that a fixed set in training never shows: of new projections, and of unseen tasks."""
        kwargs = self.env_kwargs if self.trials is not None else self._own().unseen().arguments
        return replace(self, n_projections=None, env_kwargs=kwargs)

    def _own(self) -> ProblemDistribution:
        """The problems of this package that are projected."""
        return make_problems(**rl_environments()[self.env].arguments, **self.env_kwargs)
