"""An agent that only has act(observation), as reinforcement learning code often does: scored like every learner.

python examples/act_only_agent.py
On the command line: cd examples && gpicl evaluate --learners act:act_only_agent:PerceptronAgent sgd
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpicl_baselines.adapters.acting import ActingLearner
from gpicl_envs import TaskDistribution, make_learner
from gpicl_envs.evaluation.evaluate import evaluate_all
from gpicl_envs.report import compare

Array = NDArray[Any]


class PerceptronAgent:
    """Rosenblatt's perceptron (1958): weights move only after a mistake. It imports nothing from this package."""

    def __init__(self) -> None:
        self.weights: Array | None = None
        self.last = np.zeros(0)

    def act(self, observation: dict[str, Array]) -> int:
        """Learn from the label of the previous example (zeros at the first), then predict."""
        x, y = observation["x"], observation["y"]
        if self.weights is None:
            self.weights = np.zeros((len(y), len(x)))
        elif (predicted := int(np.argmax(self.weights @ self.last))) != (true := int(np.argmax(y))):
            self.weights[true] += self.last
            self.weights[predicted] -= self.last
        self.last = x
        return int(np.argmax(self.weights @ x))


def main() -> None:
    """Score it beside online gradient descent, on the same episodes."""
    learners = [ActingLearner(PerceptronAgent), make_learner("sgd")]
    mine, other = (c.record() for c in evaluate_all(learners, TaskDistribution("MNIST", split="test"), episodes=128))
    mean, low, high = (100 * value for value in compare(mine, other))
    print(f"{mine.learner}: {100 * mine.final.mean:.1f} % of the last ten labels of unseen tasks")
    print(f"  minus {other.learner}: {mean:+.1f} points, 95 % interval [{low:+.1f}, {high:+.1f}]")


if __name__ == "__main__":
    main()
