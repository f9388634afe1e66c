import json
from dataclasses import asdict

import pytest

from gpicl_agents.experiments.engine.experiment import NAMES, find_experiment


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_declares_distinct_trials_at_both_scales(name: str):
    experiment = find_experiment(name)
    assert experiment.name == name
    for scale in ("small", "paper"):
        trials = experiment.trials(scale)
        assert len({trial.name for trial in trials}) == len({trial.definition for trial in trials}) == len(trials) > 1
        assert all(json.loads(json.dumps(asdict(trial))) for trial in trials)
        assert all(trial.evaluations or (trial.train_kwargs or {}).get("until_gain") for trial in trials)
