import json
import random
import re
from dataclasses import asdict
from pathlib import Path

import pytest
from mutations import damaged_bytes, damaged_value
from small_records import failed_record, scored_record, suite_record

from gpicl_envs.evaluation.records import Estimate, Reliability, read_records
from gpicl_envs.report import group, latex_table, markdown_table, merge
from gpicl_envs.report.model import details

COUNT = 2000
WHOLE = scored_record(
    (5, 6, 7),
    spec="knn,k=3",
    fingerprint="f" * 64,
    task_id=[0, -1, 1],
    nll=[2.3] * 30,
    final_nll=Estimate(1.0, 0.9, 1.1),
    ece=Estimate(0.1, 0.0, 0.2),
    reliability=Reliability([None, 0.9], [None, 0.8], [0, 30]),
    examples_to={"0.5": [3, 2, None], "0.7": [None, None, None]},
)
OTHER = scored_record((7, 6, 5), learner="b", fingerprint="e" * 64)
OF_A_SUITE = suite_record("ridge", suite="gpicl-mini", cell="Digits")
LINES = [json.dumps(asdict(one)) for one in (WHOLE, failed_record(OTHER, "no memory"), OTHER, OF_A_SUITE)]


def check(path: Path, content: bytes) -> bool:
    """Whether a file is read; if not, the error must name the file and the line, and the field if it is JSON."""
    path.write_bytes(content)
    try:
        records = read_records(path)
    except ValueError as error:
        message = str(error)
        assert str(path) in message and len(message) < 2000
        assert re.search(r"line \d|is not a text file|is empty", message), message
        return False
    try:  # what was read can be reported, or the report says why not
        columns = group(merge({str(path): records}))
        assert markdown_table(columns) and latex_table(columns) and details(columns)
    except ValueError as error:
        assert len(str(error)) < 2000
    return True


@pytest.mark.parametrize("count", [200, pytest.param(COUNT, marks=pytest.mark.slow)])
def test_every_damaged_record_is_read_or_refused_by_file_line_and_field(count: int, tmp_path: Path):
    path, read = tmp_path / "records.jsonl", 0
    for seed in range(count):
        chance = random.Random(seed)
        lines = list(LINES)
        i = chance.choice([0, 0, 0, 1, 2])
        if seed % 2:
            lines[i] = damaged_value(lines[i], chance)
            content = "\n".join([*lines, ""]).encode()
        else:
            content = damaged_bytes("\n".join([*lines[:3], ""]).encode(), chance)
        read += check(path, content)
    assert 0.05 * count < read < 0.8 * count  # the damage is neither always fatal nor mostly harmless


def test_the_damage_is_not_in_the_test(tmp_path: Path):
    assert check(tmp_path / "r.jsonl", "\n".join([*LINES, ""]).encode())
