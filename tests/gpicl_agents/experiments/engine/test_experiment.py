import json
from dataclasses import asdict
from pathlib import Path

import pytest

from gpicl_agents.experiments import phases, state_size, table1
from gpicl_agents.experiments.engine.experiment import NAMES, find_experiment
from gpicl_envs.errors import UnknownNameError


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_declares_distinct_trials_at_both_scales(name: str):
    experiment = find_experiment(name)
    assert experiment.name == name
    for scale in ("small", "paper"):
        trials = experiment.trials(scale)
        assert len({trial.name for trial in trials}) == len({trial.definition for trial in trials}) == len(trials) > 1
        assert all(json.loads(json.dumps(asdict(trial))) for trial in trials)
        assert all(trial.evaluations or (trial.train_kwargs or {}).get("until_gain") for trial in trials)


def test_an_experiment_is_the_docstring_and_the_functions_of_its_module():
    found = find_experiment("state-size")
    assert (found.name, found.title) == ("state-size", "State size and learning")
    assert found.description.startswith("How much does accuracy rise") and '"""' not in found.description
    assert (found.trials, found.findings, found.table) == (state_size.trials, state_size.findings, None)
    assert find_experiment("table1").table is table1.table


def test_a_name_that_is_no_experiment_lists_those_that_are():
    with pytest.raises(ValueError, match="Which experiment.*phases, heatmap, state-size"):
        find_experiment("")
    with pytest.raises(UnknownNameError, match="Unknown experiment 'phase'. Did you mean 'phases'"):
        find_experiment("phase")


def test_every_module_of_an_experiment_is_listed():
    folder = Path(phases.__file__).parent
    assert {path.stem.replace("_", "-") for path in folder.glob("*.py")} - {"--init--"} == set(NAMES)
