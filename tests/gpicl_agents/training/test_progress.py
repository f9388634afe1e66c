from dataclasses import replace

from small_training import QUICK, small_env, small_learner

from gpicl_agents.training.progress import Progress
from gpicl_agents.training.supervised import train


def test_a_report_is_given_every_step_and_the_last_evaluation():
    seen: list[Progress] = []
    last = train(small_learner(), small_env(), QUICK, report=lambda progress: seen.append(replace(progress)))
    assert [progress.step for progress in seen] == list(range(1, QUICK.steps + 1)) and last == seen[-1]
    assert [progress.step for progress in seen if progress.evaluated] == [4, 8, 12]
    assert seen[2].curve is None and seen[4].curve is seen[3].curve and seen[7].curve is not seen[3].curve
    seconds = [progress.seconds for progress in seen]
    assert 0 < seconds[0] and seconds == sorted(seconds)
    assert [progress.learning_rate for progress in seen[:2]] == [QUICK.learning_rate_at(n, 0.0) for n in range(2)]
    assert all(0 <= progress.accuracy <= 1 and progress.loss > 0 < progress.gradient_norm for progress in seen)
