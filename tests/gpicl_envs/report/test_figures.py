import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_players import return_records
from small_records import scored_record

from gpicl_envs.evaluation.provenance import Provenance
from gpicl_envs.evaluation.records import Band, Estimate, Reliability, ScoredRecord
from gpicl_envs.report import figures, group
from gpicl_envs.report.costs import COSTS
from gpicl_envs.report.figures import (
    DASHES,
    LONGEST,
    PALETTE,
    draw_costs,
    draw_curves,
    draw_regrets,
    draw_reliability,
    draw_state_sizes,
    panels,
    plain,
    save,
)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that would have been saved."""
    found: list[Any] = []
    monkeypatch.setattr(figures, "save", lambda figure, paths: found.append(figure))
    return found


def curve(*accuracies: float) -> Band:
    return Band(list(accuracies), [a - 0.1 for a in accuracies], [a + 0.1 for a in accuracies])


def test_a_learning_curve_is_drawn_in_percent_with_its_interval(drawn: list[Any]):
    draw_curves(group([scored_record((1, 2), final_positions=3, curve=curve(0.1, 0.4, 0.7))]), [])
    (axes,) = drawn[0].axes
    (line,) = axes.get_lines()
    assert line.get_xdata().tolist() == [1, 2, 3] and line.get_ydata().tolist() == pytest.approx([10, 40, 70])
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (pytest.approx(0), pytest.approx(80))
    assert axes.get_title() == "Digits, unseen-task" and axes.get_ylim() == (0, 100)


def test_squared_errors_are_drawn_as_they_are_with_a_logarithmic_scale(drawn: list[Any]):
    draw_curves(group([scored_record((5, 7), final_positions=2, metric="squared_error", curve=curve(2.0, 0.5))]), [])
    (axes,) = drawn[0].axes
    assert axes.get_lines()[0].get_ydata().tolist() == [2.0, 0.5] and axes.get_yscale() == "symlog"


def test_a_learner_looks_the_same_in_every_panel_and_no_two_look_alike(drawn: list[Any]):
    names = [f"learner {i:02}" for i in range(len(PALETTE) + 2)]
    records = [scored_record((60 - i, 50), learner=name) for i, name in enumerate(names)]
    records += [replace(record, env="GPICL-MNIST-v0") for record in records[::-1]]
    draw_curves(group(records), [])
    looks = [
        {line.get_label(): (line.get_color(), line.get_linestyle()) for line in a.get_lines()} for a in drawn[0].axes
    ]
    assert looks[0] == looks[1] and looks[0].keys() == set(names)
    assert len(set(looks[0].values())) == len(names)
    assert looks[0][names[-1]] == (PALETTE[1], DASHES[1])


def test_bins_of_few_predictions_are_left_out_of_the_reliability(drawn: list[Any]):
    bins = Reliability([0.25, 0.55, 0.95, None], [0.2, 0.5, 0.9, None], [20, 19, 100, 0])
    draw_reliability(group([scored_record(reliability=bins), scored_record(env="GPICL-MNIST-v0")]), [])
    (axes,) = drawn[0].axes  # MNIST has no predicted probabilities
    diagonal, line = axes.get_lines()
    assert line.get_xdata().tolist() == pytest.approx([25, 95]) and line.get_ydata().tolist() == pytest.approx([20, 90])


@pytest.mark.parametrize(("smallest", "scale"), [(0, "symlog"), (10, "log")])
def test_a_final_score_is_drawn_against_its_state_size(smallest: int, scale: str, drawn: list[Any]):
    final = Estimate(0.55, 0.5, 0.65)
    records = [scored_record(state_size=smallest, final=final), scored_record(learner="b", state_size=1000)]
    draw_state_sizes(group(records), [])
    (axes,) = drawn[0].axes
    assert axes.get_xscale() == scale
    places = sorted((bar.lines[0].get_xdata()[0], bar.lines[0].get_ydata()[0]) for bar in axes.containers)
    assert places == [pytest.approx((smallest, 55)), pytest.approx((1000, 55))]


def test_scores_are_drawn_against_costs_with_the_front_of_what_is_both_cheap_and_good(drawn: list[Any]):
    """c is dearer and worse than b; the oracle is on no front; d's operations are unknown."""
    made = [("a", 1e3, 0.3), ("b", 1e5, 0.6), ("c", 1e6, 0.5), ("oracle", 1e4, 0.9), ("d", None, 0.8)]
    records = [
        scored_record((10 * mean, 10 * mean), learner=name, spec=name, flops_per_prediction=flops, wall_seconds=i + 1.0)
        for i, (name, flops, mean) in enumerate(made)
    ]
    for cost in COSTS:
        draw_costs(group(records), [], cost)
    by_time, by_flops = (
        {line.get_label(): line.get_xydata().tolist() for line in f.axes[0].get_lines()} for f in drawn
    )
    assert by_flops["Pareto front"] == [pytest.approx((1, 30)), pytest.approx((100, 60))]
    assert by_flops["c"] == [pytest.approx((1000, 50))] and by_flops.keys() == {"a", "b", "c", "oracle", "Pareto front"}
    ms = 1000 / 60
    assert by_time["Pareto front"] == [pytest.approx(at) for at in ((ms, 30), (2 * ms, 60), (5 * ms, 80))]
    assert drawn[0].axes[0].get_xscale() == "log" and drawn[0].axes[0].get_xlabel() == "ms a prediction"


@pytest.mark.parametrize("slowest", [1.1, 2.5, 8.0, 40.0, 300.0, 2e6])
def test_labels_of_costs_do_not_overlap(slowest: float, drawn: list[Any]):
    times = np.geomspace(1, slowest, 4)
    names = [scored_record(learner=f"{n}", wall_seconds=0.0187 * 60 / 1000 * each) for n, each in enumerate(times)]
    draw_costs(group(names), [], COSTS[0])
    (axes,) = drawn[0].axes
    drawn[0].canvas.draw()
    labels = [*axes.get_xticklabels(), *axes.get_xticklabels(minor=True)]
    shown = sorted((each.get_window_extent() for each in labels if each.get_text()), key=lambda box: box.x0)
    inside = [box for box in shown if axes.bbox.x0 <= (box.x0 + box.x1) / 2 <= axes.bbox.x1]
    assert len(inside) >= 2 and all(left.x1 < right.x0 for left, right in itertools.pairwise(inside))


def test_times_of_two_machines_have_no_front(drawn: list[Any]):
    records = [scored_record(learner="a"), scored_record(learner="b", provenance=Provenance("cpu", "another"))]
    for record, flops in zip(records, (10.0, 0.0), strict=True):
        draw_costs(group([replace(each, flops_per_prediction=flops) for each in (record, records[1])]), [], COSTS[0])
    assert [len(f.axes[0].get_lines()[-1].get_xdata()) for f in drawn] == [0, 1]


def test_files_are_the_same_bytes_each_time(records: list[ScoredRecord], tmp_path: Path):
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        draw_curves(group(records), [folder / "curves.png", folder / "curves.svg"])
    for name in ("curves.png", "curves.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_all_panels_share_one_legend():
    figure, (left, right) = panels(2)
    left.plot([1, 2], label="knn")
    right.plot([2, 1], label="knn")
    right.plot([2, 2], label="ridge")
    save(figure, [])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["knn", "ridge"]


def test_names_are_shown_as_they_are():
    assert plain("_hidden $x$") == r" _hidden \$x\$" and plain("knn") == "knn"
    assert plain("x" * LONGEST) == "x" * LONGEST
    assert len(plain("x" * (LONGEST + 1))) == LONGEST and plain("x" * 50 + "y") == "x" * 22 + "…" + "x" * 20 + "y"


@pytest.mark.parametrize(("count", "across", "shape"), [(1, 3, (1, 1)), (5, 3, (2, 3)), (4, 2, (2, 2))])
def test_panels_fill_rows(count: int, across: int, shape: tuple[int, int]):
    figure, grid = panels(count, across=across)
    assert len(grid) == len(figure.axes) == count
    assert grid[0].get_gridspec().get_geometry() == shape


def test_regret_is_drawn_for_every_episode_of_a_problem(drawn: list[Any]):
    records = return_records(problems=20, length=3)
    draw_regrets(group(records), [])
    (axes,) = drawn[0].axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    for record in records:
        line = lines[record.learner]
        assert line.get_xdata().tolist() == [1, 2, 3]
        assert line.get_ydata().tolist() == pytest.approx(record.episode_regret.mean)
    assert len(axes.collections) == 3 and all(float(tick).is_integer() for tick in axes.get_xticks())


def test_long_names_that_differ_have_entries_of_their_own(drawn: list[Any]):
    ends = [f"transformer (transformer,width=256,n_layers=2,mlp_width=1024,seed={seed})" for seed in (1, 2)]
    middles = [f"{'a' * 30}{letter}{'b' * 30}" for letter in "xy"]
    records = [scored_record((5, 6 + i), learner=name) for i, name in enumerate(ends + middles)]
    draw_curves(group(records), [])
    labels = {line.get_label() for line in drawn[0].axes[0].get_lines()}
    assert len(labels) == 4 and all(len(label) <= LONGEST + 4 for label in labels)
