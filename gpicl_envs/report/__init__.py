"""Records → tables, pictures and one self-contained page. Reads records only; needs no torch."""

from gpicl_envs.evaluation.comparisons import Record, compare
from gpicl_envs.report.figures import draw_curves
from gpicl_envs.report.html import write_report
from gpicl_envs.report.model import cell, find_row, group, learners, merge
from gpicl_envs.report.tables import latex_table, markdown_table

__all__ = [
    "Record",
    "cell",
    "compare",
    "draw_curves",
    "find_row",
    "group",
    "latex_table",
    "learners",
    "markdown_table",
    "merge",
    "write_report",
]
