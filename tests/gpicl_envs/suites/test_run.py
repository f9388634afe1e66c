import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from rogue_gallery import OF_PROCESS
from small_jobs import inline
from small_suites import cells

from gpicl_envs.evaluation.records import SuiteClaim, read_records
from gpicl_envs.jobs.local import local_runner
from gpicl_envs.learners.registry import LearnerSpec, make_learner
from gpicl_envs.report import group, write_report
from gpicl_envs.suites.definitions import Cell, Suite
from gpicl_envs.suites.run import CellJob, CheckJob, benchmark

KEEPER = """
import torch
from gpicl_envs import Learner

class Keeper(Learner):
    def __init__(self, n_features=784, n_classes=10, *, token, path):
        super().__init__(n_features, n_classes)
        if token != "hidden-word" or not path.endswith("somebody/a"):
            raise PermissionError(f"{path} with token={token} is refused")

    def predict(self, x, y):
        return torch.zeros(*y.shape, self.n_classes)
"""


def counted(jobs, ran):
    """A runner that remembers what it ran, in a new process, which sees the files as they are now."""
    ran.extend(jobs)
    with local_runner(1, 60.0) as run:
        yield from run(jobs)


def test_bad_learners_end_as_marked_rows_and_the_others_finish(suite: Suite, tmp_path: Path):
    specs = [
        "knn",
        *(f"rogues:{name}" for name in ("Raises", "Dies", "DiesOnce", "Exits", "RaisesUnprintable")),
    ]
    specs += [f"rogues:{name}" for name in ("NotANumber", "Huge", "WrongShape", "Cheats", "CheatsLater")]
    small = Suite("small", "", suite.cells[:1])
    with local_runner(2, 60.0) as run:
        records = benchmark(small, specs, tmp_path / "records.jsonl", run)
    with local_runner(1, 5.0) as run:
        records += benchmark(small, ["rogues:Sleeps"], tmp_path / "records.jsonl", run)
    why = {record.spec.removeprefix("rogues:"): getattr(record, "error", "ok") for record in records}
    assert why["knn"] == why["DiesOnce"] == "ok"
    assert why["Raises"] == "KeyError: 'no such weight'"
    assert why["Exits"] == "SystemExit: enough" and why["RaisesUnprintable"] == "Unprintable"
    assert why["Sleeps"].endswith("it took longer than the time limit (--time-limit) of 5 s")  # or its check did
    assert why["Dies"].startswith("its process died, 3 times")
    assert "check: LearnerCheckError" in why["NotANumber"] and "not finite" in why["NotANumber"]
    assert why["Huge"] == "the result is not valid: nll.0=inf: Input should be a finite number"
    assert "expected (4, 24, 10)" in why["WrongShape"]
    assert "Not causal" in why["Cheats"] and "Not causal: on episodes of the evaluation" in why["CheatsLater"]
    assert all(hasattr(record, "final") == (record.status == "ok") for record in records)
    assert read_records(tmp_path / "records.jsonl")


def test_a_memory_of_the_process_does_not_help_a_cheat(suite: Suite, tmp_path: Path):
    """With two classes, only another process, which never saw the true labels, tells."""
    two = Cell("two", "GPICL-Clusters-v0", "unseen-dataset", 40, length=30, variant=(("n_classes", 2),))
    with local_runner(2, 60.0) as run:
        cheat, fair = benchmark(
            Suite("small", "", (two,)), ["rogues:CheatsFromMemory", "knn"], tmp_path / "records.jsonl", run
        )
    assert "Not causal: on episodes of the evaluation" in cheat.error and fair.final.mean > 0.5


@pytest.mark.parametrize("name", ["batch_size", "threads"])
def test_counts_are_checked_before_anything_runs(suite: Suite, tmp_path: Path, name: str):
    with pytest.raises(ValueError, match=f"{name}=0 is not allowed"):
        benchmark(suite, ["knn"], tmp_path / "r.jsonl", inline, **{name: 0})
    assert not (tmp_path / "r.jsonl").exists()


def test_records_have_everything_that_a_reader_of_the_table_needs(suite: Suite, tmp_path: Path):
    record = benchmark(suite, ["knn,k=3"], tmp_path / "r.jsonl", inline, command="gpicl benchmark")[0]
    assert record.learner == "3-nn-cosine" and record.spec == "knn,k=3"
    assert record.suite == SuiteClaim("small", "digits", suite.cells[0].definition)
    made = record.provenance
    assert made.command == "gpicl benchmark" and "cores" in made.machine and len(record.data) == 64
    assert record.episodes == 40 and read_records(tmp_path / "r.jsonl")[0] == record
    assert json.loads((tmp_path / "r.jsonl").read_text().splitlines()[0]) == json.loads(json.dumps(asdict(record)))
    assert group([record])


def test_a_stopped_benchmark_is_resumed_and_repeats_no_finished_cell(suite: Suite, tmp_path: Path):
    path = tmp_path / "records.jsonl"

    def stops(jobs):
        for count, pair in enumerate(inline(jobs)):
            if isinstance(pair[0], CellJob) and count == 3:
                raise KeyboardInterrupt
            yield pair

    with pytest.raises(KeyboardInterrupt):
        benchmark(suite, ["knn", "ridge", "majority"], path, stops)
    with open(path, "a", encoding="utf-8") as file:
        file.write('{"schema": "gpicl-rec')  # killed while writing
    ran = []

    def counts(jobs):
        ran.extend(job.title for job in jobs if isinstance(job, CellJob))
        yield from inline(jobs)

    records = benchmark(suite, ["knn", "ridge", "majority"], path, counts)
    assert len(records) == 6 and len(ran) == 3 and len(read_records(path)) == 6
    whole = cells(benchmark(suite, ["knn", "ridge", "majority"], tmp_path / "whole.jsonl", inline))
    for key, record in cells(records).items():
        assert record.final_scores == whole[key].final_scores and record.curve == whole[key].curve


def test_changed_code_runs_again_and_failed_cells_are_tried_again(suite: Suite, tmp_path: Path):
    path, small = tmp_path / "records.jsonl", Suite("small", "", suite.cells[:1])
    assert benchmark(small, ["rogues:Raises"], path, inline)[0].status == "failed"
    module = tmp_path / "rogues.py"
    module.write_text(module.read_text().replace('raise KeyError("no such weight")', "pass"))
    records = benchmark(small, ["rogues:Raises"], path, lambda jobs: counted(jobs, []))
    assert [record.status for record in records] == ["ok"]
    module.write_text(module.read_text() + "\n# edited\n")
    ran = []
    list(benchmark(small, ["rogues:Raises"], path, lambda jobs: counted(jobs, ran)))
    assert [type(job) for job in ran] == [CheckJob, CellJob]
    fingerprints = [LearnerSpec.parse(text).fingerprint(make_learner(text)) for text in ("knn", "knn", "knn,k=3")]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]
    tiny = {"width": 16, "n_layers": 1, "n_heads": 1}
    spec = LearnerSpec.parse("transformer", **tiny)
    a, b = (spec.fingerprint(spec.make(seed=seed)) for seed in (0, 1))
    assert a != b


def test_a_learner_without_a_seed_is_the_same_in_every_job_and_an_edited_agent_is_another(suite: Suite, tmp_path: Path):
    ran, path = [], tmp_path / "r.jsonl"
    records = benchmark(suite, ["rogues:Drawn", "act:rogues:Acts"], path, lambda jobs: counted(jobs, ran))
    assert len({record.fingerprint for record in records if record.learner == "Drawn"}) == 1
    ran.clear()
    benchmark(suite, ["rogues:Drawn", "act:rogues:Acts"], path, lambda jobs: counted(jobs, ran))
    assert not [job for job in ran if isinstance(job, CellJob)]
    module = tmp_path / "rogues.py"
    module.write_text(module.read_text().replace("return 1", "return 2"))
    benchmark(suite, ["act:rogues:Acts"], path, lambda jobs: counted(jobs, ran))
    assert len([job for job in ran if isinstance(job, CellJob)]) == 2


def test_the_batch_size_changes_no_record(suite: Suite, tmp_path: Path):
    a, b = (benchmark(suite, ["ridge"], tmp_path / f"{size}.jsonl", inline, batch_size=size)[0] for size in (7, 40))
    assert a.final_scores == b.final_scores and a.curve == b.curve
    assert a.nll == pytest.approx(b.nll, abs=1e-4) and a.ece == pytest.approx(b.ece, abs=1e-4)


def test_cells_whose_data_are_not_available_are_left_out_by_name(suite: Suite, tmp_path, monkeypatch):
    monkeypatch.setenv("GPICL_DATA_DIR", str(tmp_path / "nothing"))
    missing = Cell("svhn", "GPICL-SVHN-v0", "unseen-dataset", 40, length=30)
    lines: list[str] = []
    both = Suite("small", "", (suite.cells[0], missing))
    records = benchmark(both, ["majority"], tmp_path / "r.jsonl", inline, report=lines.append)
    assert [record.suite.cell for record in records] == ["digits"]
    assert any("svhn is left out: SVHN is not in the data folder" in line for line in lines)
    with pytest.raises(ValueError, match="No data of small are available"):
        benchmark(Suite("small", "", (missing,)), ["majority"], tmp_path / "r.jsonl", inline)


def test_records_of_another_definition_are_refused(suite: Suite, tmp_path: Path):
    path = tmp_path / "r.jsonl"
    benchmark(suite, ["majority"], path, inline)
    with pytest.raises(OSError):
        benchmark(suite, ["majority"], path / "below", inline)
    path.write_text(path.read_text().replace(suite.cells[0].definition, "0" * 64))
    with pytest.raises(ValueError, match="record of majority in small, digits, was made with another definition"):
        benchmark(suite, ["majority"], path, inline)


def test_the_oracle_has_records_where_the_best_predictions_are_known(suite: Suite, tmp_path: Path):
    records = benchmark(suite, ["oracle", "majority"], tmp_path / "r.jsonl", inline)
    assert [(r.learner, r.suite.cell) for r in records if r.spec == "oracle"] == [("oracle", "clusters")]
    others = suite.only([cell.name for cell in suite.cells if cell.name != "clusters"])
    with pytest.raises(ValueError, match="oracle cannot be scored on any cell of"):
        benchmark(others, ["oracle"], tmp_path / "none.jsonl", inline)


def test_learners_of_one_name_are_told_apart(suite: Suite, tmp_path: Path):
    records = benchmark(suite, ["ridge", "ridge,regularization=3.0"], tmp_path / "r.jsonl", inline)
    assert {record.learner for record in records} == {"ridge (ridge)", "ridge (ridge,regularization=3.0)"}


@pytest.mark.slow  # a process for each of forty rogues, one after another
def test_a_rogue_among_the_learners_changes_no_record_of_the_others(suite: Suite, tmp_path: Path):
    """One process at a time, so that each would find what the last one left behind."""
    small = Suite("small", "", (replace(suite.cells[0], episodes=6),))
    honest = ["knn", "ridge", "gru,width=8,input_rank=16"]
    rogues = [f"rogue_gallery:Rogue,deed={name}" for name in sorted(OF_PROCESS)]
    mixed = [*honest[:1], *rogues, *honest[1:]]
    with local_runner(1, 60.0) as run:
        alone, among = (benchmark(small, specs, tmp_path / f"{len(specs)}.jsonl", run) for specs in (honest, mixed))
    for record in alone:
        (other,) = [found for found in among if found.spec == record.spec]
        assert other.status == "ok", other
        assert (other.final_scores, other.nll, other.curve) == (record.final_scores, record.nll, record.curve)
    why = {record.spec.partition("deed=")[2]: record.error for record in among if record.status == "failed"}
    assert why["exits_without_a_word"].startswith("its process died, 3 times") and why["presses_ctrl_c"]
    assert len(why["raises_a_long_message"]) < 1000 and why["raises_a_long_message"].startswith("ValueError: no no")


def test_what_is_not_noticed_can_be_run_again(suite: Suite, tmp_path: Path):
    path, ran = tmp_path / "r.jsonl", []
    for rerun in (False, False, True):
        lines: list[str] = []
        benchmark(suite, ["majority"], path, inline, rerun=rerun, report=lines.append)
        ran.append(sum("majority" in line for line in lines))
    assert ran == [2, 0, 2] and len(read_records(path)) == 4


@pytest.mark.gpu
def test_a_benchmark_runs_on_a_gpu(suite: Suite, tmp_path: Path):
    with local_runner(2, 100.0) as run:
        records = benchmark(suite, ["knn", "transformer"], tmp_path / "records.jsonl", run, device="cuda")
    assert [type(record).__name__ for record in records] == 4 * ["ScoredRecord"], records
    assert {record.provenance.device for record in records} == {"cpu", "cuda:0"}  # 1-NN lives nowhere


def test_a_learner_gets_what_its_record_does_not_show(suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Secrets and the home folder: in the learner's text, in the command, in an error. The record resumes."""
    home = tmp_path / "somebody"
    (home / "pages").mkdir(parents=True)
    (home / "keeper.py").write_text(KEEPER)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.syspath_prepend(home)
    path, ran = tmp_path / "records.jsonl", []
    specs = [f"keeper:Keeper,token=hidden-word,path={home}/a", f"keeper:Keeper,token=another-word,path={home}/a"]
    small = Suite("small", "", suite.cells[:1])
    for _ in range(2):
        kept, failed = benchmark(
            small,
            specs,
            path,
            lambda jobs: counted(jobs, ran),
            command=f"gpicl benchmark --out {home}/runs --token abcdef",
        )
    assert kept.status == "ok" and kept.spec == "keeper:Keeper,token=***,path=~/a"
    assert kept.provenance.command == "gpicl benchmark --out ~/runs --token ***"
    assert failed.error == "check: PermissionError: ~/a with token=*** is refused"
    write_report([kept, failed], home / "pages")
    written = [path, *(file for file in (home / "pages").iterdir() if file.suffix in (".html", ".md", ".tex", ".svg"))]
    assert len(written) > 3
    for file in written:
        text = file.read_text()
        assert "hidden-word" not in text and "another-word" not in text and str(home) not in text, file
    assert len([job for job in ran if isinstance(job, CellJob) and job.refusal is None]) == 1  # the second run has it
