"""The report's page: a sortable leaderboard, interactive curves, and all numbers with intervals and provenance."""

import html
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gpicl_envs.datasets.files import write_text
from gpicl_envs.evaluation.protocol import PROTOCOLS
from gpicl_envs.evaluation.records import Record
from gpicl_envs.report.columns import Columns, group, scored_columns
from gpicl_envs.report.costs import COSTS
from gpicl_envs.report.figures import draw_costs, draw_curves, draw_reliability, draw_state_sizes, styles
from gpicl_envs.report.model import details, failures, leaderboard, sources, unit
from gpicl_envs.report.tables import latex_table, markdown_table
from gpicl_envs.report.templates import page_templates

TEMPLATES = page_templates("gpicl_envs", "report")


def write_report(
    records: Sequence[Record],
    folder: str | Path,
    *,
    title: str = "Learning curves",
    pictures: Mapping[str, Path] | None = None,
) -> Path:
    """Write the report into a folder: `index.html`, `table.md`, `table.tex`, and the pictures as PNG and SVG files.

    The pictures are `learning-curves`, `reliability` (accuracy against confidence), `state-size`, and `cost-ms` and
    `cost-flop` (score against the cost of a prediction; the second only if a record knows it).

    Args:
        records: as `read_records` returns them; the last of a learner, environment and protocol counts.
        folder: made if needed; an earlier report in it is replaced.
        title: of the page.
        pictures: heading → PNG file, shown above the curves.

    Returns:
        The page.
    """
    columns = group(records)
    folder = Path(folder)
    write_text(folder / "table.md", markdown_table(columns))
    write_text(folder / "table.tex", latex_table(columns))
    for name, draw in (
        ("learning-curves", draw_curves),
        ("state-size", draw_state_sizes),
        ("reliability", draw_reliability),
    ):
        draw(columns, [folder / f"{name}.png", folder / f"{name}.svg"])
    own_pictures = _costs(columns, folder)
    own_pictures |= {"Calibration": folder / "reliability.png", "Score against state size": folder / "state-size.png"}
    return write_page(
        folder,
        title=title,
        leaderboard=leaderboard(columns),
        failures=failures(columns),
        pictures=embedded(pictures or {}),
        plots=_plots(columns),
        details=details(columns),
        own_pictures=embedded(own_pictures),
        sources=sources(records),
    )


def write_page(folder: Path, **values: Any) -> Path:
    """Write `index.html` from the values of its template, and return its path."""
    page = folder / "index.html"
    write_text(page, TEMPLATES.get_template("page.html.jinja").render(**values))
    return page


def _costs(columns: Columns, folder: Path) -> dict[str, Path]:
    """Draw the score against each cost that a record knows; return heading → PNG file."""
    drawn, records = {}, [record for column in scored_columns(columns).values() for record in column]
    for name, what, cost in zip(("cost-ms", "cost-flop"), ("time", "operations"), COSTS, strict=True):
        if any(cost.value(record) is not None for record in records):
            draw_costs(columns, [folder / f"{name}.png", folder / f"{name}.svg"], cost)
            drawn[f"Score against the {what} of a prediction"] = folder / f"{name}.png"
    return drawn


def embedded(pictures: Mapping[str, Path]) -> dict[str, str]:
    """Heading → the picture in base64, so that the page stays one file."""
    return {heading: b64encode(path.read_bytes()).decode() for heading, path in pictures.items()}


def _plots(columns: Columns) -> list[str]:
    """One interactive plot a column, as HTML; the first contains plotly.js, so that the page works offline."""
    import plotly.graph_objects as go

    plots, style_of = [], styles(columns)
    for i, (title, records) in enumerate(scored_columns(columns).items()):
        figure, first = go.Figure(), records[0]
        for record in records:
            mean, low, high = ([unit(record).factor * value for value in values] for values in record.curve)
            positions, name = list(range(1, len(mean) + 1)), html.escape(record.learner, quote=False)
            shared = {"name": name, "legendgroup": name, "line_color": style_of[record.learner]["color"]}
            figure.add_scatter(x=positions, y=mean, **shared)
            figure.add_scatter(
                x=positions + positions[::-1], y=high + low[::-1], fill="toself", opacity=0.15, line_width=0,
                showlegend=False, hoverinfo="skip", **shared,
            )  # fmt: skip
        figure.update_layout(
            title=html.escape(f"{title} ({PROTOCOLS[first.protocol]})", quote=False), template="plotly_white",
            height=480, xaxis_title="example", yaxis_range=[0, 100] if first.larger_is_better else None,
            yaxis_title=f"{unit(first).name}, 95 % interval",
        )  # fmt: skip
        options = {"full_html": False, "include_plotlyjs": i == 0, "config": {"displaylogo": False}}
        plots.append(figure.to_html(div_id=f"curve-{i}", **options))
    return plots
