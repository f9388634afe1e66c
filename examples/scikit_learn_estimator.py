"""Any scikit-learn classifier as an in-context learner: fitted again at every position, on the previous examples.

python examples/scikit_learn_estimator.py
On the command line: gpicl evaluate --learners sklearn:RandomForestClassifier,refit_every=25 knn --episodes 8
"""

from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from gpicl_baselines.adapters.estimator import EstimatorLearner
from gpicl_envs import TaskDistribution, make_learner
from gpicl_envs.evaluation.evaluate import evaluate_all
from gpicl_envs.report import compare


def main() -> None:
    """A random forest and a support vector machine, beside 1-NN on the same episodes."""
    forest = EstimatorLearner(RandomForestClassifier(30, random_state=0), refit_every=25, first_fit=24)
    machine = EstimatorLearner(make_pipeline(StandardScaler(), SVC()), refit_every=5, first_fit=4)
    tasks = TaskDistribution("MNIST", split="test")
    *mine, nearest = (c.record() for c in evaluate_all([forest, machine, make_learner("knn")], tasks, episodes=12))
    for record in mine:
        mean, low, high = (100 * value for value in compare(record, nearest))
        print(f"{record.learner}: {100 * record.final.mean:.0f} % of the last ten labels of 12 unseen tasks;", end=" ")
        print(f"minus 1-NN {mean:+.1f} points, 95 % interval [{low:+.1f}, {high:+.1f}]")


if __name__ == "__main__":
    main()
