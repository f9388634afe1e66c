"""`ProblemEnv`: one in-context RL problem at a time, in NumPy."""

from typing import Any

from numpy.typing import NDArray

from gpicl_envs.envs import signature_with_arguments_of
from gpicl_envs.envs.actions import as_single_action
from gpicl_envs.envs.batch_of_one import BatchOfOne
from gpicl_envs.rendering.text import text_picture
from gpicl_envs.rl.play import Play
from gpicl_envs.rl.vector_env import ProblemVectorEnv


class ProblemEnv(BatchOfOne):
    """One in-context RL problem, in NumPy: the batch of one of `ProblemVectorEnv`, which describes it.

    Args:
        problem: the kind, such as `"Bandit"`.
        render_mode: None, `"rgb_array"`, `"ansi"`, or `"human"`: a window that follows every reset and step.
        **arguments: of the kind's distribution, such as `gpicl_envs.rl.bandit.Bandit`.
    """

    batch_class = ProblemVectorEnv

    def __init__(self, problem: str = "Bandit", *, render_mode: str | None = None, **arguments: Any) -> None:
        super().__init__(problem, render_mode=render_mode, **arguments)
        self._play = Play(self._batch.distribution)

    __signature__ = signature_with_arguments_of(__init__, ProblemVectorEnv, leave_out=("num_envs", "autoreset_mode"))

    def step(self, action: Any) -> tuple[dict[str, NDArray[Any]], float, bool, bool, dict[str, Any]]:
        """Take an action; a batch of one is taken too.

        Returns:
            Observation, reward, terminated, truncated, and {task_id}.
        """
        n, checked = self._awaited(), self._batch.actions.check(as_single_action(action, ())[None])
        reward = self._play.act(checked, n).item()
        self._position = n + 1
        self._update_window()
        seen = {name: rows[0] for name, rows in self._play.observe(n + 1).items()}
        return seen, reward, n + 1 == self._batch.length, False, {"task_id": self._task_id}

    def _begun(self) -> None:
        """Play the new problem in NumPy."""
        problems = self._batch.problems.numpy()
        self._play.begin(problems)
        self._task_id = int(problems.ids[0])

    def _picture(self, mode: str) -> Any:
        problems = self._batch.problems  # refused before the first reset
        return text_picture(self._batch.distribution.describe(problems, 0, int(self._play.state[0])), mode)
