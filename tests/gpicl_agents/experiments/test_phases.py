from trial_records import committed, record, result

from gpicl_agents.evaluations import NEW_EXAMPLES
from gpicl_agents.experiments import phases
from gpicl_agents.experiments.engine.experiment import find_experiment
from gpicl_agents.experiments.engine.trial import TrialRecord
from gpicl_envs.evaluation.protocol import SEEN_TASK, UNSEEN_TASK


def test_phases_diagnoses_its_committed_records():
    found = find_experiment("phases").findings(committed("phases"))
    assert any("2^4 tasks: **task memorisation**" in line for line in found)
    assert all("general-purpose" in line for line in found if "2^12" in line or "2^24" in line)


def phase_record(n_tasks: int, seed: int, seen: tuple[float, float], unseen: tuple[float, float]) -> TrialRecord:
    results = {SEEN_TASK: result(*seen), NEW_EXAMPLES: result(*seen), UNSEEN_TASK: result(*unseen)}
    return record({"n_tasks": n_tasks, "seed": seed}, results)


def test_phases_shows_seeds_that_disagree_apart():
    memorised, identifies = ((0.98, 0.99), (0.1, 0.1)), ((0.6, 0.9), (0.1, 0.1))
    learns = ((0.1, 0.7), (0.1, 0.6))
    records = [phase_record(16, seed, *row) for seed, row in enumerate((identifies, memorised))]
    records += [phase_record(64, seed, *learns) for seed in range(2)]
    disagree, agree, always = phases.findings(records)
    assert "2^4 tasks: **task memorisation / instance memorisation**" in disagree
    assert disagree.count("first example") == 1 and "98 % correct" in disagree
    assert "2^6 tasks: **general-purpose learning** (accuracy on unseen tasks: 60 %, 60 %)" in agree
    assert "from 2^6 tasks on" in always
