"""The pages of all experiments, made from the committed records."""

from dataclasses import replace
from pathlib import Path

import pytest
from slow_stage import mostly_slow
from trial_records import ROOT, committed

from gpicl_agents.experiments.engine.experiment import NAMES, find_experiment
from gpicl_agents.experiments.engine.report import write_page
from gpicl_agents.experiments.engine.trial import TrialRecord

RENDERED = ("projection",)  # in every run


@pytest.fixture
def sketched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn, but neither laid out nor rendered nor animated, which would take most of the time."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, path, **options: Path(path).touch())
    monkeypatch.setattr("matplotlib.layout_engine.ConstrainedLayoutEngine.execute", lambda engine, figure: None)
    monkeypatch.setattr("gpicl_agents.experiments.emergence._animate", lambda records, path: path.touch())


def write_documented_page(name: str, folder: Path) -> Path:
    experiment = find_experiment(name)
    found = {record.definition: record for record in committed(name)}
    trials = experiment.trials("small")
    assert found.keys() == {trial.definition for trial in trials}
    return write_page(experiment, "small", [found[trial.definition] for trial in trials], folder)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("sketched")
def test_the_documented_page_is_made_from_the_committed_records(name: str, tmp_path: Path):
    page = write_documented_page(name, tmp_path)
    assert page.read_text(encoding="utf-8") == (ROOT / "docs" / "results" / f"{name}.md").read_text(encoding="utf-8")
    shown = {path.name for path in tmp_path.iterdir() if path.suffix in (".png", ".gif")}
    assert shown and all((ROOT / "docs" / "results" / name).exists() for name in shown)


@pytest.mark.parametrize("name", mostly_slow(NAMES, RENDERED))
def test_pictures_are_rendered(name: str, tmp_path: Path):
    write_documented_page(name, tmp_path)
    assert all(path.stat().st_size > 10_000 for path in tmp_path.glob("*.png"))


def axes(records: list[TrialRecord]) -> list[str]:
    return list(dict.fromkeys(axis for record in records for axis in record.axes))


@pytest.mark.parametrize("groups", [1, pytest.param(None, marks=pytest.mark.slow)], ids=["one", "each"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("sketched")
def test_a_report_is_written_though_a_whole_group_of_trials_failed(name: str, groups: int | None, tmp_path: Path):
    experiment, records = find_experiment(name), committed(name)
    varying = [axis for axis in axes(records) if len({str(record.axes.get(axis)) for record in records}) > 1]
    for axis in varying[:groups]:
        given = next(record.axes[axis] for record in records if axis in record.axes)
        failed = [
            replace(record, status="failed", error="no memory") if record.axes.get(axis) == given else record
            for record in records
        ]
        page = write_page(experiment, "small", failed, tmp_path).read_text(encoding="utf-8")
        assert "no memory" in page and "## Trials" in page
