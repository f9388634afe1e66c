import io

from rich.console import Console
from small_training import QUICK, small_env, small_learner

from gpicl_agents.training.live_report import LiveReport, outcome
from gpicl_agents.training.progress import Progress
from gpicl_agents.training.supervised import train
from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.regression import FunctionDistribution


def test_the_live_view_shows_the_rising_curve():
    curve = train(small_learner(), small_env(), QUICK).curve
    for terminal in (True, False):
        output = io.StringIO()
        with LiveReport("me", 12, Console(file=output, force_terminal=terminal, width=120)) as report:
            report(Progress(step=4, seconds=1.0, loss=2.0, curve=curve, evaluated=True))
        assert f"{100 * curve.scores[:, 0].mean():.0f} %" in output.getvalue()


def test_the_live_view_shows_the_falling_error_and_the_distances():
    tasks = FunctionDistribution(n_features=4, length=12, noise=0.5)
    curve = evaluate(make_learner("ridge", tasks=tasks), tasks, episodes=8)
    for terminal in (True, False):
        output = io.StringIO()
        with LiveReport("me", 12, Console(file=output, force_terminal=terminal, width=160)) as report:
            report(Progress(step=4, seconds=1.0, loss=0.5, curve=curve, evaluated=True))
        shown = output.getvalue()
        assert f"{curve.mean[0]:.3f}" in shown and f"{curve.distances['optimal-ridge'].mean():.3f}" in shown
        assert "distance to optimal-ridge" in shown and "%" not in shown.replace("0%", "")
    assert "squared error inside an episode" in report._view().renderables[1].title  # type: ignore[union-attr]


def test_the_outcome_says_whether_accuracy_rose_or_the_error_fell():
    assert "; accuracy rose within the episode from step 7 on." in outcome(Progress(step=9, plateau_end=7))
    assert "; the squared error fell within" in outcome(Progress(step=9, plateau_end=7, explained=0.3))
    assert "; the squared error did not fall within" in outcome(Progress(step=9, on_plateau=True, explained=0.0))


def test_the_live_view_of_a_policy_shows_its_returns():
    for terminal in (True, False):
        output = io.StringIO()
        with LiveReport("me", 12, Console(file=output, force_terminal=terminal, width=120)) as report:
            report(Progress(step=1, seconds=1.0))
            report(Progress(step=4, seconds=2.0, returned=12.345, evaluated=True))
        assert "12.3" in output.getvalue() and "accuracy" not in output.getvalue()
