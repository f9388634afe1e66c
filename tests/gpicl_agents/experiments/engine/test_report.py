from pathlib import Path

from small_jobs import inline
from tiny_experiment import tiny

from gpicl_agents.experiments.engine.report import write_page
from gpicl_agents.experiments.engine.sweep import sweep


def test_the_same_records_give_the_same_bytes(no_svhn, tmp_path: Path):
    records = sweep(tiny(), "small", tmp_path, inline)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_page(tiny(), "small", records, tmp_path / folder)
    for name in ("report.md", "tiny.png", "tiny.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
