"""`gpicl report`: records as a table, a picture and a page."""

from collections.abc import Sequence
from pathlib import Path

import tyro

from gpicl_envs.commands.arguments import show
from gpicl_envs.evaluation.records import read_records


def report(
    records: tyro.conf.Positional[Sequence[Path]], out: Path = Path("runs/report"), title: str = "Learning curves"
) -> None:
    """Draw records as a table, a picture and one self-contained page.

    Example: `gpicl report runs/records.jsonl --out runs/report`.

    Args:
        records: record files, as `gpicl evaluate` and `gpicl benchmark` write them, from one machine or several.
        out: folder for index.html, table.md, table.tex and the pictures (PNG and SVG).
        title: of the page.
    """
    from gpicl_envs.report import merge, write_report

    page = write_report(merge({str(path): read_records(path) for path in records}), out, title=title)
    show(f"The report: {page}")
