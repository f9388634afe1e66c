"""Problems made of any environment from their description."""

import json
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from small_envs import AIM, aiming

from gpicl_envs import check_vector_env
from gpicl_envs.rl.wrapped_problems import WrappedProblems
from gpicl_envs.wrappers import VectorRandomProjection, VectorTrials
from gpicl_envs.wrappers.vector import TorchToNumpy


@pytest.fixture(autouse=True)
def aim():
    with aiming():
        yield


def returns_of(venv: Any, seed: int = 3) -> tuple[Any, ...]:
    """What twenty steps show."""
    observation, _ = venv.reset(seed=seed)
    venv.action_space.seed(0)
    shown = [*observation.values()]
    for _ in range(20):
        observation, reward, *_ = venv.step(venv.action_space.sample())
        shown += [*observation.values(), reward]
    return tuple(shown)


def by_hand(description: WrappedProblems) -> Any:
    """The same by the wrappers themselves."""
    inner = gymnasium.make_vec(description.env, num_envs=3, **description.env_kwargs)
    venv: Any = TorchToNumpy(inner) if description.trials is None else VectorTrials(inner, description.trials)
    if description.project is None:
        return venv
    return VectorRandomProjection(
        venv, description.project, description.n_actions, n_projections=description.n_projections
    )


DESCRIPTIONS = [
    WrappedProblems("CartPole-v1", trials=2, env_kwargs={"max_episode_steps": 9}),
    WrappedProblems(AIM, trials=3, project=4, n_actions=2, n_projections=5),
    WrappedProblems("GPICL-TabularMDP-v0", project=6, n_actions=7, env_kwargs={"n_tasks": 2, "n_episodes": 3}),
]


@pytest.mark.parametrize("made", DESCRIPTIONS, ids=lambda made: made.env)
def test_they_are_what_the_wrappers_make_and_a_record_holds_them(made: WrappedProblems):
    again = WrappedProblems(**json.loads(json.dumps(made.arguments)))
    venv = again.make(3)
    assert again == made and venv.description == made and venv.num_envs == 3 and hash(again) == hash(made)
    for found, expected in zip(returns_of(venv), returns_of(by_hand(made)), strict=True):
        assert np.array_equal(found, expected)
    check_vector_env(made.make(2))


def test_unseen_problems_have_new_projections_and_unseen_tasks():
    _, aim, mdp = DESCRIPTIONS
    assert set(aim.make(40).reset(seed=0)[1]["projection_id"]) == set(range(5))
    unseen = aim.unseen()
    assert unseen == replace(aim, n_projections=None) and (unseen.make(9).reset(seed=0)[1]["projection_id"] == -1).all()
    made = mdp.unseen().make(4).unwrapped.distribution
    assert (made.n_tasks, made.split, made.n_episodes) == (None, "test", 3)
    assert (aim.n_episodes, mdp.n_episodes) == (3, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"env": "CartPole-v1"}, "CartPole-v1 has no problems of several episodes: give trials"),
        ({"env": "CartPole-v1", "trials": 0}, "trials=0 is not allowed: give a whole number of at least 1"),
        ({"env": "CartPole-v1", "trials": 2, "project": 0}, "project=0 is not allowed"),
        ({"env": "CartPole-v1", "trials": 2, "project": 4, "n_projections": -1}, "n_projections=-1 is not allowed"),
        ({"env": "CartPole-v1", "trials": 2, "env_kwargs": {"max_episode_steps": 0}}, "max_episode_steps=0 is not"),
        ({"env": "CartPole-v1", "project": 4}, "give trials"),
        (
            {"env": "CartPole-v1", "trials": 2, "n_actions": 3},
            "n_actions=3 is of random projections: give project, too",
        ),
        ({"env": "CartPole-v1", "trials": 2, "n_projections": 3}, "n_projections=3 is of random projections"),
        (
            {"env": "CartPole-v1", "trials": 2, "project": 4, "n_actions": 1},
            "n_actions=1 .*the environment has 2 actions",
        ),
        ({"env": "GPICL-Bandit-v0", "trials": 2}, "trials=2 is not for GPICL-Bandit-v0, whose problems have episodes"),
        ({"env": "GPICL-MNIST-v0", "trials": 2}, "GPICL-MNIST-v0 reveals labels"),
        (
            {"env": AIM, "trials": 2, "env_kwargs": {"actions": "mixture"}},
            "Aim-v0: VectorTrials needs Discrete actions or",
        ),
        ({"env": "CartPole-v1", "trials": 2, "env_kwargs": {"mass": 1}}, "CartPole-v1: .*mass"),
        ({"env": "no_such_module:Maze-v0", "trials": 2}, "no_such_module:Maze-v0: No module named 'no_such_module'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())),
)
def test_what_makes_no_problems_is_refused(arguments: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        WrappedProblems(**arguments).make(2)


def test_numbers_of_numpy_are_kept_as_a_record_can_hold_them():
    made = WrappedProblems("CartPole-v1", *np.array([2, 4, 3, 5]))
    assert json.loads(json.dumps(made.arguments)) == made.arguments and made.n_actions == 3
    assert not made.has_single_steps and WrappedProblems("GPICL-Bandit-v0", project=4).has_single_steps


def test_an_environment_that_nobody_registered_is_named():
    with pytest.raises(gymnasium.error.Error, match="CartPool` doesn't exist"):
        WrappedProblems("CartPool-v1", trials=2).make(2)
