"""`gpicl report`: records as a table, a picture and a page."""

from collections.abc import Sequence
from pathlib import Path

import tyro
from rich.console import Console


def report(
    records: tyro.conf.Positional[Sequence[Path]], out: Path = Path("runs/report"), title: str = "Learning curves"
) -> None:
    """Draw records as a table, a picture and one self-contained page.

    Example: `gpicl report runs/records.jsonl --out runs/report`.

    Args:
        records: record files, as `gpicl evaluate` and `gpicl benchmark` write them, of one machine or several.
        out: folder for index.html, table.md, table.tex and the pictures (PNG and SVG).
        title: of the page.
    """
    from gpicl_envs.evaluation.records import read_records
    from gpicl_envs.report import merge, write_report

    console = Console()
    page = write_report(merge({str(path): read_records(path) for path in records}), out, title=title)
    console.print(f"The report: {page}", highlight=False)
