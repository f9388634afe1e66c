"""Settings chosen by cross-validation: scikit-learn's own search, at each fit, on the examples before alone."""

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.discovery import all_estimators

from gpicl_baselines.adapters.tuning import GRIDS, search
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.real_tables import RealTableDistribution

TASKS = RealTableDistribution("wine", split="test", length=61, queries=6)


@pytest.mark.parametrize("name", GRIDS)
def test_every_setting_is_one_of_its_classifier(name: str):
    classifier = dict(all_estimators(type_filter="classifier"))[name]()
    found = search(classifier)
    assert set(found.param_grid) <= set(classifier.get_params())
    for setting, values in found.param_grid.items():
        classifier.set_params(**{setting: values[0]})
        assert len(set(map(str, values))) == len(values) > 1


def test_it_predicts_as_scikit_learn_s_search_on_the_columns_of_the_table():
    episodes = TASKS.sample(6, seed=5)
    text = "sklearn:SVC,scaled=True,tuned=True,first_fit=60"
    learner = make_learner(text, tasks=TASKS)
    assert learner.name == "SVC (tuned)"
    x, y = episodes.x[0].numpy(), episodes.y[0].numpy()
    columns = np.ptp(x[:60], axis=0) > 0
    grid = {f"svc__{name}": values for name, values in GRIDS["SVC"].items()}
    expected = GridSearchCV(make_pipeline(StandardScaler(), SVC()), grid).fit(x[:60, columns], y[:60])
    predicted = learner.predict(episodes.x, episodes.y)[:, -1].argmax(1)
    assert columns.sum() == 13
    assert predicted.tolist() == expected.predict(episodes.x[:, -1].numpy()[:, columns]).tolist()


def test_the_queries_of_a_table_share_one_search(monkeypatch: pytest.MonkeyPatch):
    learner = make_learner("sklearn:KNeighborsClassifier,tuned=True,first_fit=60", tasks=TASKS)
    fits, fit = [], type(learner)._fit
    monkeypatch.setattr(type(learner), "_fit", lambda self, x, y: fits.append(len(x)) or fit(self, x, y))
    episodes = TASKS.sample(8, seed=5)  # six queries of one draw, two of the next
    together = learner.predict(episodes.x, episodes.y)
    assert fits == [60, 60] and torch.isfinite(together).all()


def test_a_classifier_without_settings_is_refused():
    with pytest.raises(ValueError, match="settings to choose from 'GaussianNB'. Valid: Gradient.*SVC"):
        make_learner("sklearn:GaussianNB,tuned=True")
    with pytest.raises(ValueError, match="tuned=3 is not allowed: give True or False"):
        make_learner("sklearn:SVC,tuned=3")
    with pytest.raises(ValueError, match="unexpected keyword argument 'tune'.*Did you mean 'tuned'"):
        make_learner("sklearn:SVC,tune=True")


def test_until_a_class_has_an_example_for_each_fold_the_default_settings_are_taken():
    """A learner that is evaluated at every position begins with two examples."""
    episodes = RealTableDistribution("wine", split="test", length=12, queries=1).sample(2)
    tuned, plain = (make_learner(f"sklearn:SVC{more}", tasks=TASKS) for more in (",tuned=True", ""))
    assert torch.equal(tuned.predict(episodes.x, episodes.y)[:, :5], plain.predict(episodes.x, episodes.y)[:, :5])
