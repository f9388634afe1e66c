import json
from pathlib import Path

import numpy as np
import pytest

from gpicl_agents.experiments.engine.plots import draw_emergence, read_evaluations, smoothed_accuracy


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
