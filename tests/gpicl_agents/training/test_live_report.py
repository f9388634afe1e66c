import io

from rich.console import Console
from small_training import QUICK, small_env, small_learner

from gpicl_agents.training.live_report import LiveReport
from gpicl_agents.training.progress import Progress
from gpicl_agents.training.supervised import train


def test_the_live_view_shows_the_rising_curve():
    curve = train(small_learner(), small_env(), QUICK).curve
    for terminal in (True, False):
        output = io.StringIO()
        with LiveReport("me", 12, Console(file=output, force_terminal=terminal, width=120)) as report:
            report(Progress(step=4, seconds=1.0, loss=2.0, curve=curve, evaluated=True))
        assert f"{100 * curve.scores[:, 0].mean():.0f} %" in output.getvalue()
