"""Environments of xenoverse, which no agent of this package was trained on, as in-context problems.

Their episodes draw from NumPy's global generator, which xenoverse seeds from the clock: `check_env`, which plays twice
with the same seed, cannot pass, whatever wraps them. Their tasks can be seeded.
"""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from small_trials import play

from gpicl_envs.wrappers import RandomProjection, Trials, VectorRandomProjection

anymdp = pytest.importorskip("xenoverse.anymdp", reason="needs xenoverse: pip install xenoverse")
pytest.importorskip("xenoverse.metacontrol", reason="needs xenoverse: pip install xenoverse")

STATES, ACTIONS = 16, 5


def new_mdp(env: Any, generator: np.random.Generator) -> None:
    env.set_task(anymdp.AnyMDPTaskSampler(STATES, ACTIONS, seed=int(generator.integers(2**32))))


def new_cartpole(env: Any, generator: np.random.Generator) -> None:
    """The ranges of xenoverse's `sample_cartpole`, which takes no seed."""
    ranges = {"gravity": (1, 11), "masscart": (0.5, 2.0), "masspole": (0.05, 0.2), "length": (0.25, 1.0)}
    env.set_task({name: generator.uniform(*bounds) for name, bounds in ranges.items()})


def mdps() -> Trials:
    env = gymnasium.make("anymdp-v0")
    new_mdp(env.unwrapped, np.random.default_rng(0))  # the spaces depend on the task
    return Trials(env, episodes=3, max_steps=60, new_task=new_mdp)


def cartpoles() -> Trials:
    return Trials(gymnasium.make("random-cartpole-v0"), episodes=3, max_steps=200, new_task=new_cartpole)


def task_of(env: Any) -> list[float]:
    env = env.unwrapped
    return [env.gravity, env.length] if hasattr(env, "gravity") else [*env.transition.ravel(), *env.reward.ravel()]


@pytest.mark.parametrize("made", [mdps, cartpoles])
def test_a_problem_keeps_its_task_and_the_seed_gives_it(made: Callable[[], Trials]):
    env = RandomProjection(made(), n_features=12, n_actions=6)
    tasks = []
    for seed in (4, None, 4):
        observation, _ = env.reset(seed=seed)
        tasks.append(task_of(env))
        shown = play(env, [env.action_space.sample() for _ in range(200)])
        assert any(shown[-1][2:4]) and task_of(env) == tasks[-1]
        assert all(env.observation_space.contains(one[0]) for one in shown)
        starts = 1 + sum(one[0]["start"].item() for one in shown)
        assert starts == shown[-1][4]["episode_number"] + 1
        total = sum(float(one[1]) for one in shown)
        assert not shown[-1][2] or shown[-1][4]["episode_returns"].sum() == pytest.approx(total)
    assert tasks[0] == tasks[2] and tasks[0] != tasks[1]


def test_spaces_are_those_of_the_task():
    env = mdps()
    assert env.observation_space["x"].shape == (STATES,) and env.observation_space["action"].shape == (ACTIONS,)
    observation, _ = env.reset(seed=0)
    assert observation["x"].sum() == 1 and observation["x"].argmax() == env.unwrapped.state  # type: ignore[attr-defined]


def test_a_task_must_be_set_first_where_the_spaces_depend_on_it():
    env = Trials(gymnasium.make("anymdp-v0"), episodes=2, new_task=new_mdp)
    with pytest.raises(ValueError, match="one must be set before Trials"):
        env.reset(seed=0)


def test_a_batch_of_problems_with_tasks_of_their_own():
    inner = SyncVectorEnv([cartpoles] * 3, autoreset_mode=AutoresetMode.SAME_STEP)
    env = VectorRandomProjection(inner, n_features=8)
    observation, _ = env.reset(seed=0)
    env.action_space.seed(0)
    ends = np.zeros(3, bool)
    for _ in range(205):
        observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
        assert env.observation_space.contains(observation)
        ends |= terminated | truncated
    assert ends.all() and len({one.unwrapped.length for one in inner.envs}) == 3  # type: ignore[attr-defined]
