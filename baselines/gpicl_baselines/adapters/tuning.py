"""Settings that scikit-learn's classifiers are tried with, and the search that chooses among them."""

from typing import Any

from sklearn.model_selection import GridSearchCV

from gpicl_envs.errors import check_choice

FOLDS = 5  # of the cross-validation
GRIDS: dict[str, dict[str, list[Any]]] = {
    "SVC": {"C": [0.1, 1, 10, 100], "gamma": ["scale", 0.01, 0.03, 0.1, 0.3]},
    "LogisticRegression": {"C": [0.01, 0.1, 1, 10, 100]},
    "KNeighborsClassifier": {"n_neighbors": [1, 3, 5, 9, 15]},
    "RandomForestClassifier": {"max_features": ["sqrt", 0.5, 1.0]},
    "GradientBoostingClassifier": {"max_depth": [1, 3], "learning_rate": [0.03, 0.1]},
}


def search(classifier: Any) -> GridSearchCV:
    """Return the search for the settings of a classifier, or of the one at the end of a pipeline, among `GRIDS`.

    Each fit chooses by the accuracy of scikit-learn's five-fold stratified cross-validation on its examples.

    Raises:
        UnknownNameError: there are no settings for the classifier; the message lists those that have some.
    """
    steps = getattr(classifier, "steps", None)
    name = type(steps[-1][1] if steps else classifier).__name__
    grid = GRIDS[check_choice("classifier with settings to choose from", name, tuple(GRIDS))]
    before = f"{steps[-1][0]}__" if steps else ""
    return GridSearchCV(classifier, {before + setting: values for setting, values in grid.items()}, cv=FOLDS)
