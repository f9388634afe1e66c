from trial_records import record, result

from gpicl_agents.experiments import state_size
from gpicl_envs.evaluation.protocol import UNSEEN_TASK
from gpicl_envs.evaluation.records import Estimate


def test_what_goes_with_the_gain_over_architectures():
    """Gains in the order of the states, parameters in an order that has nothing to do with it."""
    parameters = [3, 8, 5, 1, 6, 2, 7, 4]
    records = [
        record(
            {"series": state_size.ALL, "learner": f"model-{i}", "seed": seed},
            {UNSEEN_TASK: result(0, 0, Estimate(0.05 * i + 0.01 * seed, 0.0, 1.0))},
            learner=f"model-{i}",
            state_size=10**i,
            n_parameters=parameters[i],
        )
        for i in range(8)
        for seed in range(2)
    ]
    (line, *_) = state_size.findings(records)
    ranks = 1 - 6 * sum((i + 1 - rank) ** 2 for i, rank in enumerate(parameters)) / (8 * 63)  # Spearman 1904
    assert "state size +1.00 (p = 0.000; without any two of them +1.00 to +1.00)" in line
    assert f"parameters {ranks:+.2f} (p = " in line
    assert "correlation" not in state_size.findings(records[:8])[0]  # four architectures say too little
