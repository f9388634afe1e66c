"""`gpicl report`: records as a table, a picture and a page."""

from collections.abc import Sequence
from pathlib import Path

import tyro

from gpicl_envs.commands.arguments import show
from gpicl_envs.evaluation.records import read_records
from gpicl_envs.evaluation.return_records import holds_returns, read_return_records


def report(
    records: tyro.conf.Positional[Sequence[Path]], out: Path = Path("runs/report"), title: str = "Learning curves"
) -> None:
    """Draw records as a table, a picture and one self-contained page.

    Example: `gpicl report runs/records.jsonl --out runs/report`.

    Args:
        records: record files, as `gpicl evaluate`, `gpicl benchmark` and `gpicl evaluate-rl` write them, from one
            machine or several, or folders with a records.jsonl.
        out: folder for index.html, table.md, table.tex and the pictures (PNG and SVG).
        title: of the page.
    """
    from gpicl_envs.report import merge, write_report
    from gpicl_envs.report.returns import write_returns_report

    records = [path / "records.jsonl" if path.is_dir() else path for path in records]
    of_rl = [path for path in records if holds_returns(path)]
    if 0 < len(of_rl) < len(records):
        raise ValueError(f"{', '.join(map(str, of_rl))} is of in-context RL, and the other files are not: report each.")
    read, write = (read_return_records, write_returns_report) if of_rl else (read_records, write_report)
    page = write(merge({str(path): read(path) for path in records}), out, title=title)
    show(f"The report: {page}")
