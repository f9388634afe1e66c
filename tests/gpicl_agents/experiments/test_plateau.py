from trial_records import record, result

from gpicl_agents.experiments import plateau
from gpicl_agents.experiments.engine.trial import Training, TrialRecord
from gpicl_envs.evaluation.protocol import UNSEEN_TASK
from gpicl_envs.evaluation.records import Estimate


def plateau_record(series: str, value: float, left: int | None, gains: bool = True) -> TrialRecord:
    axes = {"series": series, "value": value, "seed": 0}
    results = {UNSEEN_TASK: result(0, 0, Estimate(0.1, 0.09 * gains, 0.2))}
    return record(axes, results, training=Training(steps=1500, plateau_end=left))


def test_plateau_finds_the_exponent_that_is_there_and_no_law_where_none_can_be():
    records = [plateau_record(plateau.BATCH, b, 6400 // b) for b in (8, 16, 32, 64)]
    records += [plateau_record(plateau.TASKS, n, 10, gains=False) for n in (2**5, 2**6)]  # task memorisation
    records += [plateau_record(plateau.TASKS, n, int(2 * n**0.5)) for n in (2**8, 2**12, 2**24)]
    records += [plateau_record(plateau.EPS, eps, 100) for eps in plateau.OTHERS[plateau.EPS]]
    batch, tasks, eps = plateau.findings(records)
    assert "setting^-1.00 [-1.00, -1.00], from each setting to the next -1.00, -1.00, -1.00" in batch
    assert "setting^+0.50 [+0.50, +0.50], from each setting to the next +0.50, +0.50" in tasks
    assert "10 (seen tasks only)" in tasks and "length" not in eps
