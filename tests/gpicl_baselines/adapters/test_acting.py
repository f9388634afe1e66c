import numpy as np
import pytest
import torch

from gpicl_baselines.adapters.acting import ActingLearner
from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.classification import TaskDistribution


class Nearest:
    """1-NN as an agent that knows nothing of this package."""

    def __init__(self, seed: int = 1) -> None:
        self.inputs, self.labels, self.seed = [], [], seed

    def act(self, observation) -> int:
        if self.inputs:
            self.labels.append(int(observation["y"].argmax()))
        self.inputs.append(observation["x"] / np.linalg.norm(observation["x"]))
        if not self.labels:
            return 0
        return self.labels[int(np.argmax(np.stack(self.inputs[:-1]) @ self.inputs[-1]))]


class Shouting:
    def act(self, observation) -> int:
        return 12


def test_an_agent_that_acts_scores_as_the_same_algorithm_does():
    check_learner(ActingLearner(Nearest, 8, 4))
    tasks = TaskDistribution("MNIST", split="test", length=30)
    acting, knn = (evaluate(learner, tasks, episodes=20) for learner in (ActingLearner(Nearest), make_learner("knn")))
    assert (acting.scores[:, 1:] == knn.scores[:, 1:]).mean() > 0.995 and acting.learner == "Nearest"


def test_agents_get_their_seed_and_are_new_for_each_episode():
    agents = ActingLearner(Nearest, 8, 4).start(3)
    assert {agent.seed for agent in agents} == {0} and len({id(agent) for agent in agents}) == 3


def test_bad_actions_and_classes_are_refused_by_name():
    with pytest.raises(ValueError, match=r"Shouting.act\(observation\) returned 12, not a label from 0 to 9"):
        evaluate(ActingLearner(Shouting), TaskDistribution("MNIST", split="test", length=3), episodes=1)
    with pytest.raises(ValueError, match="no method act"):
        make_learner("act:collections:OrderedDict")


def test_an_agent_that_writes_into_its_observation_changes_nothing_else():
    class Negates:
        def act(self, observation) -> int:
            observation["x"] *= -1
            observation["y"] += 1
            return 0

    x, y = torch.ones(2, 8), torch.zeros(2, 4)
    learner = ActingLearner(Negates, 8, 4)
    learner.step(learner.start(2), x, y)
    assert (x == 1).all() and not y.any()


def test_a_confidence_that_makes_other_labels_as_likely_is_refused():
    with pytest.raises(ValueError, match=r"confidence=0.1 is not above 1/10"):
        ActingLearner(type("Agent", (), {"act": lambda self, observation: 3}), confidence=0.1)
