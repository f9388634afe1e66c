"""The page: a sortable leaderboard, interactive curves, every number with its interval, and where it comes from."""

import html
from base64 import b64encode
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from gpicl_envs.evaluation.comparisons import (
    SIGNIFICANCE,
    Record,
    best_baseline,
    corrected_p_values,
    larger_is_better,
    regret,
)
from gpicl_envs.evaluation.protocol import PROTOCOLS
from gpicl_envs.report import paper
from gpicl_envs.report.figures import colours, draw_curves, draw_reliability, draw_state_sizes, scored
from gpicl_envs.report.model import (
    Columns,
    caption,
    cell,
    difference,
    facts,
    failures,
    find_row,
    group,
    leaders,
    learners,
    oracles,
    scale,
)
from gpicl_envs.report.tables import interquartile_means, latex_table, markdown_table, published

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
{style}
</style></head><body>
<h1>{title}</h1>
{body}
<script>
{script}
</script>
</body></html>
"""


def write_report(
    records: Sequence[Record],
    folder: str | Path,
    *,
    title: str = "Learning curves",
    pictures: Mapping[str, Path] | None = None,
) -> Path:
    """Write the report into a folder: `index.html`, `table.md`, `table.tex`, and the pictures as PNG and SVG files.

    The pictures are `learning-curves`, `reliability` (accuracy against confidence) and `state-size`.

    Args:
        records: as `evaluation.records.read_records` reads them; of equal learner, environment and protocol, the last.
        folder: made if needed; a page of that name is replaced.
        title: of the page.
        pictures: heading → PNG file, to show above the curves.

    Returns:
        The page.
    """
    columns = group(records)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(markdown_table(columns), encoding="utf-8")
    (folder / "table.tex").write_text(latex_table(columns), encoding="utf-8")
    for name, draw in (
        ("learning-curves", draw_curves),
        ("state-size", draw_state_sizes),
        ("reliability", draw_reliability),
    ):
        draw(columns, [folder / f"{name}.png", folder / f"{name}.svg"])
    own = {"Calibration": folder / "reliability.png", "Score against state size": folder / "state-size.png"}
    body = [_leaderboard(columns), *_pictures(pictures or {}), *_plots(columns), _details(columns), *_pictures(own)]
    page = folder / "index.html"
    style, script = (files("gpicl_envs.report").joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    text = PAGE.format(
        title=html.escape(title), style=style, script=script, body="\n".join([*body, _provenance(records)])
    )
    page.write_text(text, encoding="utf-8")
    return page


def _table(identity: str, heads: Sequence[str], lines: Sequence[str], note: str) -> str:
    """A table whose columns sort by a click, or by Enter, on their heads."""
    buttons = "".join(f'<th scope="col"><button type="button">{html.escape(head)}</button></th>' for head in heads)
    return (
        f'<div class="scroll"><table id="{identity}" class="sortable"><caption>{note}</caption>'
        f"<thead><tr>{buttons}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _cell(text: str, value: float | str | None = None, note: str = "", kind: str = "") -> str:
    """A cell that sorts by `value`; text is shown as it is, never as HTML."""
    order = "" if value is None else f' data-value="{html.escape(str(value))}"'
    small = f"<br><small>{html.escape(note)}</small>" if note else ""
    return f"<td{order}{f' class={kind!r}' if kind else ''}>{html.escape(text)}{small}</td>"


def _leaderboard(columns: Columns) -> str:
    """Learners by columns: final scores and differences, parameters, state, interquartile mean, the paper's rows."""
    means = interquartile_means(columns)
    leading = {title: leaders(rows, SIGNIFICANCE) for title, rows in columns.items()}
    lines = []
    for learner in learners(columns):
        parameters, state = facts(columns, learner)
        line = [_cell(learner), *(_cell(fact, fact.replace(",", "").replace("–", "")) for fact in (parameters, state))]
        for title, rows in columns.items():
            row = find_row(rows, learner)
            if row is None or row["status"] != "ok":
                line.append(_cell(cell(row), "", row["error"] if row else "", "failed" if row else ""))
            else:
                value = scale(row) * row["final"]
                line.append(_cell(cell(row), value, difference(row, rows), "lead" if learner in leading[title] else ""))
        if means:
            line.append(_cell(means.get(learner, ""), means.get(learner, "").split(" ")[0]))
        lines.append(f"<tr{' class=oracle' if learner in oracles(columns) else ''}>{''.join(line)}</tr>")
    for name, values in published(columns).items():
        line = [_cell(name, note="not run here"), _cell(""), _cell(""), *(_cell(value, value) for value in values)]
        lines.append(f"<tr class=published>{''.join(line)}{_cell('') if means else ''}</tr>")
    heads = ["learner", "parameters", "state", *columns, *(["interquartile mean"] if means else [])]
    note = caption(columns) + (f" {paper.NOTE}." if published(columns) else "") + " Click on a head to sort."
    board = _table("scores", heads, lines, html.escape(note))
    missing = "".join(f"<li>{html.escape(line)}</li>" for line in failures(columns))
    return board + (f"<h2>Failed</h2><ul class=failures>{missing}</ul>" if missing else "")


def _details(columns: Columns) -> str:
    """One line for each learner and column: all that its record says, and its regret to the best baseline."""
    lines = []
    for title, rows in scored(columns).items():
        p_values, baseline = corrected_p_values(rows), best_baseline(rows)
        for row in rows:
            unit, digits = scale(row), 1 if larger_is_better(row) else 3
            lost = regret(row, baseline) if baseline is not None else None
            p = p_values.get(row["learner"])
            line = [_cell(row["learner"], note=row.get("spec") or ""), _cell(title)]
            line += [_value(row, "final", unit, digits), _value(row, "area", unit, digits)]
            line.append(_interval(lost, 1.0, 2) if lost is not None else _cell(""))
            line.append(_cell("" if p is None else f"{p:.4f}", "" if p is None else p))
            line += [_value(row, "final_nll", 1.0, 3), _value(row, "ece", 100.0, 1)]
            line += [_examples(row, level) for level in ("0.5", "0.7")]
            line.append(_cell(f"{row['wall_seconds']:.1f}", row["wall_seconds"]))
            lines.append(f"<tr>{''.join(line)}</tr>")
    heads = ["learner", "column", "final", "area", "regret", "p", "NLL", "ECE", "to 50 %", "to 70 %", "seconds"]
    note = (
        "Every number with its 95 % bootstrap interval. Final: over the last positions. Area: mean over all positions. "
        "Regret: right answers lost (or squared error added) over an episode, against the best learner of the column "
        "that was not meta-trained. p: no difference to the best of the column, sign-flip test with Holm's correction "
        "over all pairs. "
        "NLL in nats and expected calibration error in points, over the last positions. To 50 %, 70 %: examples seen "
        "when the accuracy (made monotone) first reaches it. Seconds: of the predictions."
    )
    return f"<h2>All scores</h2>{_table('details', heads, lines, html.escape(note))}"


def _value(row: Record, name: str, unit: float, digits: int) -> str:
    if name not in row:
        return _cell("")
    return _interval([row[name], row[f"{name}_low"], row[f"{name}_high"]], unit, digits)


def _interval(values: Any, unit: float, digits: int) -> str:
    mean, low, high = (unit * float(value) for value in values)
    return _cell(f"{mean:.{digits}f}", mean, f"[{low:.{digits}f}, {high:.{digits}f}]")


def _examples(row: Record, level: str) -> str:
    if "examples_to" not in row:
        return _cell("")
    shown = ["never" if value is None else str(value) for value in row["examples_to"][level]]
    return _cell(shown[0], row["examples_to"][level][0], f"[{shown[1]}, {shown[2]}]")


def _pictures(pictures: Mapping[str, Path]) -> list[str]:
    """Pictures inside the page, so that it stays one file."""
    return [
        f"<h2>{html.escape(heading)}</h2>"
        f'<img class="picture" alt="{html.escape(heading)}" '
        f'src="data:image/png;base64,{b64encode(path.read_bytes()).decode()}">'
        for heading, path in pictures.items()
    ]


def _plots(columns: Columns) -> list[str]:
    """One interactive plot a column; the first carries plotly.js, so that the page opens offline."""
    import plotly.graph_objects as go

    plots, colour = [], colours(columns)
    for i, (title, rows) in enumerate(scored(columns).items()):
        figure, metric, unit = go.Figure(), rows[0]["metric"], scale(rows[0])
        for row in rows:
            positions = list(range(1, len(row[metric]) + 1))
            label = html.escape(row["learner"], quote=False)
            band = [unit * value for value in (*row[f"{metric}_high"], *reversed(row[f"{metric}_low"]))]
            shared = {"legendgroup": label, "line_color": colour[row["learner"]]}
            figure.add_scatter(x=positions, y=[unit * value for value in row[metric]], name=label, **shared)
            figure.add_scatter(
                x=positions + positions[::-1], y=band, fill="toself", opacity=0.15, line_width=0, showlegend=False,
                hoverinfo="skip", name=label, **shared,
            )  # fmt: skip
        protocol = PROTOCOLS[rows[0]["protocol"]]
        accuracy = larger_is_better(rows[0])
        figure.update_layout(
            title=f"{html.escape(title, quote=False)} ({html.escape(protocol)})", template="plotly_white", height=480,
            xaxis_title="example", yaxis_range=[0, 100] if accuracy else None,
            yaxis_title=f"{'accuracy (%)' if accuracy else 'squared error'}, 95 % interval",
        )  # fmt: skip
        plot = figure.to_html(
            full_html=False, include_plotlyjs=i == 0, div_id=f"curve-{i}", config={"displaylogo": False}
        )
        plots.append(f'<div class="plot">{plot}</div>')
    return ["<h2>Learning curves</h2>", *plots] if plots else []


def _provenance(records: Sequence[Record]) -> str:
    """Which suites, versions, commits, machines and commands the records come from."""
    lines = dict.fromkeys(
        "; ".join(
            part
            for part in (
                f"suite {record['suite']['name']}" if record.get("suite") else "",
                ", ".join(f"{name} {version}" for name, version in record.get("versions", {}).items()),
                f"commit {record.get('commit')}",
                str(record.get("machine") or record.get("device")),
                f"episodes of seed {record['seed']}",
                str(record.get("date", ""))[:10],
                str(record.get("command") or ""),
            )
            if part
        )
        for record in records
    )
    return "<h2>Where these numbers come from</h2>" + "".join(
        f"<p><small>{html.escape(line)}</small></p>" for line in lines
    )
