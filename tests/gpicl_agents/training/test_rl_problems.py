"""What training from rewards asks of a vector environment."""

import gymnasium
import pytest
import torch

from gpicl_agents.models.gru import GRU
from gpicl_agents.training.rl_problems import (
    ForeignProblems,
    check_rl,
    description,
    env_name,
    policy_sizes,
    rl_sizes,
    trained_on,
    unseen_problems,
)
from gpicl_envs.rl.wrapped_problems import WrappedProblems
from gpicl_envs.wrappers.vector import TorchToNumpy
from gpicl_envs.wrappers.vector_random_projection import VectorRandomProjection


def bandit(**arguments):
    return gymnasium.make_vec("GPICL-Bandit-v0", num_envs=4, n_arms=3, **arguments)


def test_the_sizes_are_those_of_the_spaces():
    assert rl_sizes(bandit()) == (1, 3, False)
    with pytest.raises(ValueError, match="needs a Dict of x, action, reward, start"):
        rl_sizes(gymnasium.make_vec("CartPole-v1", num_envs=2))


def test_a_learner_of_other_sizes_is_refused():
    check_rl(GRU(3, 3, width=4), bandit())
    for sizes, message in (((1, 3), "n_features=1, but GPICL-Bandit-v0 needs 3"), ((3, 4), "n_classes=4.*needs 3")):
        with pytest.raises(ValueError, match=message):
            check_rl(GRU(*sizes, width=4), bandit())


def test_unseen_problems_are_one_off_ones_that_training_never_shows():
    venv = bandit(n_tasks=2, length=6)
    unseen = unseen_problems(venv, 50)
    unseen.reset(seed=0), venv.reset(seed=0)
    p = unseen.problems.hidden["p"]
    assert unseen.num_envs == 50 and unseen.length == 6 and len(p.unique(dim=0)) == 50
    assert not torch.isin(venv.unwrapped.problems.hidden["p"], p).any()
    labels = gymnasium.make_vec("GPICL-Digits-v0", num_envs=2, n_tasks=2, feedback="reward", length=5)
    other = unseen_problems(labels, 3)
    assert other.feedback == "reward" and other.tasks.n_tasks is None and other.tasks.split == "test"


def test_a_foreign_environment_is_known_by_its_sizes():
    class Foreign:
        num_envs = 4
        single_observation_space, single_action_space = bandit().single_observation_space, bandit().single_action_space

        def __str__(self) -> str:
            return "Foreign(Maze-v0, num_envs=4)"

    venv = Foreign()
    venv.unwrapped = venv
    assert trained_on(venv) == ForeignProblems(1, 3) and unseen_problems(venv, 5) is None
    assert env_name(venv) == "Foreign(Maze-v0)" and env_name(bandit()) == "GPICL-Bandit-v0"


def test_what_a_wrapper_shows_is_not_taken_for_what_is_inside():
    venv = VectorRandomProjection(TorchToNumpy(bandit()), 4)
    assert trained_on(venv) == ForeignProblems(4, 3) and unseen_problems(venv, 5) is None
    assert env_name(venv) != env_name(bandit()) and "VectorRandomProjection" in env_name(venv)
    assert trained_on(bandit()).n_actions == 3 and not isinstance(trained_on(bandit()), ForeignProblems)


def test_problems_made_of_an_environment_are_known_by_their_description():
    made = WrappedProblems("CartPole-v1", trials=2, project=4, n_projections=3)
    venv = made.make(2)
    assert trained_on(venv) is description(venv) is made and env_name(venv) == "CartPole-v1"
    unseen = unseen_problems(venv, 5)
    assert unseen.num_envs == 5 and description(unseen) == made.unseen() and description(bandit()) is None


def test_a_box_of_actions_needs_a_policy_of_real_actions_and_labels_one_of_labels():
    pendulum = WrappedProblems("Pendulum-v1", trials=2, project=4, n_actions=3).make(2)
    assert rl_sizes(pendulum) == (4, 3, True) and policy_sizes(pendulum).n_features == 6
    check_rl(GRU(6, 3, width=4, continuous_actions=True), pendulum)
    with pytest.raises(ValueError, match="continuous_actions=False, but Pendulum-v1 needs True"):
        check_rl(GRU(6, 3, width=4), pendulum)
    with pytest.raises(ValueError, match="continuous_actions=True, but GPICL-Bandit-v0 needs False"):
        check_rl(GRU(3, 3, width=4, continuous_actions=True), bandit())
