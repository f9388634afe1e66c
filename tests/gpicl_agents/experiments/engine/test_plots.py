import json
from pathlib import Path

import numpy as np
import pytest

from gpicl_agents.experiments.engine.plots import (
    draw_emergence,
    draw_kinds,
    draw_reading,
    draw_values,
    read_evaluations,
    smoothed_accuracy,
)
from gpicl_agents.experiments.engine.trial import Inspection
from gpicl_envs.evaluation.records import Estimate
from gpicl_envs.report.figures import panels


def test_a_smoothed_curve_has_the_means_of_blocks_of_five():
    accuracy = np.arange(1, 21) / 100
    positions, percent = smoothed_accuracy(accuracy)
    assert positions.tolist() == [3, 8, 13, 18] and percent == pytest.approx([3, 8, 13, 18])


def test_the_evaluations_of_a_run_are_drawn(tmp_path: Path):
    lines = [{"step": step, "loss": 2.3} | {"unseen-task_accuracy": [0.1] * 10} for step in (1, 50)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [step for step, _ in read_evaluations(tmp_path)] == [1, 50]
    draw_emergence({"a run": tmp_path, "again": tmp_path}, tmp_path / "pictures" / "emergence.png")
    assert (tmp_path / "pictures" / "emergence.png").stat().st_size > 10_000
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.3}\n')
    with pytest.raises(ValueError, match="has no evaluations: train with evaluate_every above 0"):
        read_evaluations(tmp_path)


SCORES = {  # two agents, of two runs and of one
    "agent": [
        {"a": Estimate(0.2, 0.1, 0.3), "b": Estimate(0.4, 0.3, 0.5)},
        {"a": Estimate(0.6, 0.5, 0.7)} | {"b": Estimate(0.8, 0.7, 0.9)},
    ],
    "baseline": [{"a": Estimate(0.5, 0.4, 0.6), "b": Estimate(0.5, 0.4, 0.6)}],
}


def test_scores_against_a_property_have_a_line_through_the_means_over_runs():
    _, (axes,) = panels(1)
    draw_values(axes, SCORES, {"b": 1.0, "a": 3.0})
    lines = {line.get_label(): line for line in axes.get_lines() if line.get_label() in SCORES}
    assert lines["agent"].get_xdata().tolist() == [1.0, 3.0]
    assert lines["agent"].get_ydata().tolist() == pytest.approx([60, 40])


def test_scores_of_agents_stand_beside_each_other():
    _, (axes,) = panels(1)
    draw_kinds(axes, SCORES, ["a", "b"])
    places = sorted({round(float(line.get_xdata()[0]), 3) for line in axes.get_lines()})
    assert places == [-0.175, 0.175, 0.825, 1.175]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b"]


def test_a_map_of_attention_frames_the_labels_of_the_row_s_class():
    """Labels 3, 1, 3: token 1 holds the first 3, which row 2 needs; row 1 has no earlier example of its class."""
    figure, (axes,) = panels(1)
    weights = [[1.0, 0, 0], [0.5, 0.5, 0], [0, 1.0, 0]]
    draw_reading(axes, Inspection("MNIST", [[[0, 255]]] * 3, [3, 1, 3], [[weights]]), 0, 0)
    assert [patch.get_xy() for patch in axes.patches] == [(0.5, 1.5)]
    drawn = axes.images[0].get_array()
    assert drawn.shape == (3, 3) and drawn[2, 1] == 1 and len(axes.images) == 1 + 2 * 3
    assert [text.get_text() for text in axes.texts] == ["3", "–", "1", "3", "3", "1"]


def test_with_query_tokens_the_rows_are_the_queries():
    figure, (axes,) = panels(1)
    weights = np.zeros((4, 4))
    weights[3, 1] = 1.0
    draw_reading(axes, Inspection("MNIST", [[[0, 255]]] * 2, [0, 1], [[weights.tolist()]]), 0, 0)
    assert axes.images[0].get_array().tolist() == [[0, 0], [0, 1]]
