from trial_records import record, result

from gpicl_agents.experiments.engine.experiment import find_experiment
from gpicl_agents.experiments.engine.trial import Training, TrialRecord
from gpicl_envs.evaluation.protocol import UNSEEN_TASK
from gpicl_envs.evaluation.records import Estimate


def test_bias_counts_runs_that_never_left_and_pairs_by_seed():
    def run(fraction: float, seed: int, left: int | None, gain: float) -> TrialRecord:
        results = {UNSEEN_TASK: result(0, 0, Estimate(gain, gain - 0.05, gain + 0.05))}
        axes = {"permutation_bias": fraction, "seed": seed}
        return record(axes, results, training=Training(steps=1500, plateau_end=left))

    runs = [run(0.0, 0, 1000, 0.1), run(0.0, 1, None, 0.0), run(0.5, 0, 500, 0.2), run(0.5, 1, None, 0.1)]
    lines = find_experiment("bias").findings([*runs, run(0.95, 0, 500, 0.2), run(0.95, 1, 1000, 0.1)])
    unbiased = "left at step 1,000, gain on new tasks +10.0 [+5.0, +15.0]; not left within 1,500 steps"
    assert unbiased in lines[0]
    assert "1 of 2 biased runs never left the plateau" in lines[3]
    last = "when the last biased run left the plateau, at step 1,000, 1 of 2 runs without bias were still on it"
    assert last in lines[4]
    assert "gain on new tasks differs by +10.0 [+10.0, +10.0] points (paired by seed, n = 2)" in lines[4]
