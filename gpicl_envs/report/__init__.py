"""Records → tables, pictures and one self-contained page, without torch."""

from gpicl_envs.evaluation.comparisons import compare
from gpicl_envs.report.columns import group, learners, merge
from gpicl_envs.report.figures import draw_curves
from gpicl_envs.report.html import write_report
from gpicl_envs.report.model import leaderboard
from gpicl_envs.report.tables import latex_table, markdown_table

__all__ = [
    "compare",
    "draw_curves",
    "group",
    "latex_table",
    "leaderboard",
    "learners",
    "markdown_table",
    "merge",
    "write_report",
]
