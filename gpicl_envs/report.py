"""Records → a table, pictures and one self-contained page. Reads records only; needs no torch."""

import html
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpicl_envs.metrics import LAST, bootstrap

Record = dict[str, Any]
QUESTIONS = {
    "seen": "tasks of meta-training",
    "unseen-task": "new tasks, test images",
    "unseen-dataset": "a dataset never seen",
}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
th, td {{ padding: .3rem .8rem; text-align: right; border-bottom: 1px solid #ddd }}
th:first-child, td:first-child {{ text-align: left }}
small, caption {{ color: #666 }} caption {{ text-align: left; caption-side: bottom; padding-top: .5rem }}
.plot {{ margin: 2rem 0 }} .scroll {{ overflow-x: auto }}
</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""


def write_report(
    records: Sequence[Record],
    folder: str | Path,
    *,
    title: str = "Learning curves",
    pictures: Mapping[str, Path] | None = None,
) -> Path:
    """Write `table.md`, `learning-curves.png` and `index.html` into a folder.

    Args:
        records: as read by `gpicl_envs.records.read_records`; of equal learner, environment and question, the last.
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
    draw_curves(columns, folder / "learning-curves.png")
    page = folder / "index.html"
    body = "\n".join(
        [_html_table(columns), *_html_pictures(pictures or {}), *_html_plots(columns), _html_provenance(records)]
    )
    page.write_text(PAGE.format(title=html.escape(title), body=body), encoding="utf-8")
    return page


def group(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Return column title → its records, best first; a column is one environment and one question.

    Raises:
        ValueError: two records of a column were made on different episodes, and cannot be compared.
    """
    if not records:
        raise ValueError("There are no records to report.")
    columns: dict[str, dict[str, Record]] = {}
    for record in records:
        dataset = record["env_kwargs"].get("dataset", record["env"].removeprefix("GPICL-").removesuffix("-v0"))
        columns.setdefault(f"{dataset}, {record['split']}", {})[record["learner"]] = record
    for title, rows in columns.items():
        first, *others = [row["env_kwargs"] | {key: row[key] for key in ("seed", "episodes")} for row in rows.values()]
        for other in others:
            if changed := [
                f"{key}={first.get(key)!r} and {other[key]!r}" for key in other if first.get(key) != other[key]
            ]:
                raise ValueError(
                    f"The records of {title} were made on different episodes ({'; '.join(changed)}), so they cannot "
                    "stand in one column: evaluate again with one setting into a new file (--out), and report that."
                )
    return {title: sorted(rows.values(), key=lambda row: -row["final"]) for title, rows in columns.items()}


def compare(record: Record, reference: Record) -> tuple[float, float, float]:
    """Return mean and 95 % interval of the difference in final accuracy, paired on the same episodes."""
    difference = (np.array(record["final_right"]) - np.array(reference["final_right"])) / _final_positions(record)
    interval = bootstrap(difference, record.get("task_id"))
    return float(interval.mean), float(interval.low), float(interval.high)


def _final_positions(record: Record) -> int:
    return min(LAST, len(record["accuracy"]))


def learners(columns: dict[str, list[Record]]) -> list[str]:
    """All learners, in the order of the first column, then of the next."""
    return list(dict.fromkeys(row["learner"] for rows in columns.values() for row in rows))


def find_row(rows: list[Record], learner: str) -> Record | None:
    """Return the learner's record in a column, if it has one."""
    return next((row for row in rows if row["learner"] == learner), None)


def cell(row: Record | None) -> str:
    """Final accuracy in % with half the width of its interval; empty without a record."""
    if row is None:
        return ""
    half = 50 * (row["final_high"] - row["final_low"])
    return f"{100 * row['final']:.1f} ± {half:.1f}"


def _difference(row: Record, best: Record) -> str:
    if row is best:
        return "best"
    mean, low, high = (100 * value for value in compare(row, best))
    return f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"


def _facts(columns: dict[str, list[Record]], learner: str) -> tuple[str, str]:
    row = next(row for rows in columns.values() for row in rows if row["learner"] == learner)
    return f"{row['n_parameters']:,}", f"{row['state_size']:,}"


def _caption(columns: dict[str, list[Record]]) -> str:
    rows = [row for rows in columns.values() for row in rows]
    positions, episodes = _final_positions(rows[0]), sorted({row["episodes"] for row in rows})
    return (
        f"Accuracy in % over the last {positions} positions, with half the width of its 95 % bootstrap interval; "
        f"{' or '.join(f'{n:,}' for n in episodes)} episodes a cell, the same for all learners of a column. In "
        "brackets the difference to the best of the column, paired on these episodes, with its 95 % interval."
    )


def markdown_table(columns: dict[str, list[Record]]) -> str:
    """Return the table of final accuracies, in Markdown."""
    lines = ["| learner | parameters | state | " + " | ".join(map(_markdown, columns)) + " |"]
    lines.append("|---|--:|--:|" + "--:|" * len(columns))
    for learner in learners(columns):
        cells = []
        for rows in columns.values():
            row = find_row(rows, learner)
            cells.append(cell(row) + (f" ({_difference(row, rows[0])})" if row else ""))
        lines.append(f"| {_markdown(learner)} | " + " | ".join([*_facts(columns, learner), *cells]) + " |")
    return "\n".join(lines) + f"\n\n{_caption(columns)}\n"


def _markdown(text: str) -> str:
    return html.escape(text, quote=False).replace("|", "\\|").replace("\n", " ")


def draw_curves(columns: dict[str, list[Record]], path: Path) -> None:
    """Draw a learning curve with its interval for each learner, one panel a column, into a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = min(2, len(columns))
    down = -(-len(columns) // across)
    figure = Figure(figsize=(6.2 * across, 4.0 * down), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(down, across, squeeze=False, sharey=True).flat
    colours = _colours(columns)
    for axes, (title, rows) in zip(panels, columns.items(), strict=False):
        for row in rows:
            positions = np.arange(1, len(row["accuracy"]) + 1)
            colour, label = colours[row["learner"]], row["learner"].replace("$", r"\$")
            axes.plot(positions, 100 * np.array(row["accuracy"]), color=colour, linewidth=1.3, label=label)
            low, high = (100 * np.array(row[key]) for key in ("accuracy_low", "accuracy_high"))
            axes.fill_between(positions, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.set(title=title.replace("$", r"\$"), xlabel="example", ylim=(0, 100), xlim=(1, len(rows[0]["accuracy"])))
        axes.set_ylabel("accuracy (%), 95 % interval")
        axes.grid(alpha=0.25)
    for axes in list(panels)[len(columns) :]:
        axes.remove()
    handles, labels = _legend(figure.axes)
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    figure.savefig(path, metadata={"Software": None})


def _legend(panels: list[Any]) -> tuple[list[Any], list[str]]:
    entries = {label: line for axes in panels for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    return list(entries.values()), list(entries)


def _colours(columns: dict[str, list[Record]]) -> dict[str, str]:
    palette = [
        "#1f77b4",
        "#d62728",
        "#2ca02c",
        "#ff7f0e",
        "#9467bd",
        "#8c564b",
        "#e377c2",
        "#17becf",
        "#bcbd22",
        "#7f7f7f",
    ]
    return {learner: palette[i % len(palette)] for i, learner in enumerate(learners(columns))}


def _html_table(columns: dict[str, list[Record]]) -> str:
    heads = "".join(f"<th>{html.escape(title)}</th>" for title in columns)
    body = []
    for learner in learners(columns):
        cells = "".join(f"<td>{fact}</td>" for fact in _facts(columns, learner))
        for rows in columns.values():
            row = find_row(rows, learner)
            cells += f"<td>{cell(row)}<br><small>{_difference(row, rows[0]) if row else ''}</small></td>"
        body.append(f"<tr><td>{html.escape(learner)}</td>{cells}</tr>")
    return (
        f'<div class="scroll"><table id="scores"><caption>{_caption(columns)}</caption><thead><tr><th>learner</th>'
        f"<th>parameters</th><th>state</th>{heads}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _html_pictures(pictures: Mapping[str, Path]) -> list[str]:
    """Pictures inside the page, so that it stays one file."""
    return [
        f"<h2>{html.escape(heading)}</h2>"
        f'<img style="max-width: 100%" alt="" src="data:image/png;base64,{b64encode(path.read_bytes()).decode()}">'
        for heading, path in pictures.items()
    ]


def _html_plots(columns: dict[str, list[Record]]) -> list[str]:
    """One interactive plot a column; the first carries plotly.js, so that the page opens offline."""
    import plotly.graph_objects as go

    plots, colours = [], _colours(columns)
    for i, (title, rows) in enumerate(columns.items()):
        figure = go.Figure()
        for row in rows:
            positions = list(range(1, len(row["accuracy"]) + 1))
            colour, label = colours[row["learner"]], html.escape(row["learner"])
            band = [100 * value for value in (*row["accuracy_high"], *reversed(row["accuracy_low"]))]
            shared = {"legendgroup": label, "line_color": colour}
            figure.add_scatter(x=positions, y=[100 * value for value in row["accuracy"]], name=label, **shared)
            figure.add_scatter(
                x=positions + positions[::-1], y=band, fill="toself", opacity=0.15, line_width=0, showlegend=False,
                hoverinfo="skip", name=label, **shared,
            )  # fmt: skip
        question = str(QUESTIONS.get(rows[0]["split"], rows[0]["split"]))
        figure.update_layout(
            title=f"{html.escape(title)} ({html.escape(question)})", template="plotly_white", height=480,
            xaxis_title="example", yaxis_title="accuracy (%), 95 % interval", yaxis_range=[0, 100],
        )  # fmt: skip
        plot = figure.to_html(
            full_html=False, include_plotlyjs=i == 0, div_id=f"curve-{i}", config={"displaylogo": False}
        )
        plots.append(f'<div class="plot">{plot}</div>')
    return plots


def _html_provenance(records: Sequence[Record]) -> str:
    """Which versions, commits and devices the records come from."""
    lines = dict.fromkeys(
        f"{', '.join(f'{name} {version}' for name, version in record.get('versions', {}).items())}; "
        f"commit {record.get('commit')}; {record.get('device')}; episodes of seed {record['seed']}"
        for record in records
    )
    return "<h2>Where these numbers come from</h2>" + "".join(
        f"<p><small>{html.escape(line)}</small></p>" for line in lines
    )
