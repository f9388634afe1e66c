"""The resumable engine of benchmark and experiments: independent jobs → one record each, in a file."""

import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from gpicl_envs.datasets.files import exclusive
from gpicl_envs.evaluation.jsonl import append_jsonl
from gpicl_envs.evaluation.schema import as_read
from gpicl_envs.jobs.job import Job, Outcome, Runner

Report = Callable[[str], None]


class RecordedJob(Job, Protocol):
    """A job whose value is a record: a dataclass with a field `status`, `"ok"` or `"failed"`."""

    def matches(self, record: Any) -> bool:
        """Whether a record is of this very job."""
        ...

    def failed(self, error: str) -> Any:
        """Return the record of a failure."""
        ...


def run_jobs(
    jobs: Sequence[RecordedJob],
    path: str | os.PathLike[str],
    records: Sequence[Any],
    run: Runner,
    *,
    describe: Callable[[Any], str],
    is_complete: Callable[[Any, Any], bool] = lambda job, record: True,
    unit: str = "jobs",
    report: Report = lambda line: None,
) -> list[Any]:
    """Run the jobs that have no complete record yet; return one record for each job, in order.

    A record is added to the file as soon as its job is done, so a stopped run can be resumed. A failed job gets a
    record with the reason and runs again next time; a failure never replaces an earlier result.

    Args:
        jobs: the jobs.
        path: the record file.
        records: what it holds, as `read_jsonl` returns it.
        run: a runner of jobs, from `local_runner(...)` or `ray_runner(...)`.
        describe: a scored record → a few words for the report.
        is_complete: whether a job with this scored record need not run again.
        unit: what to call the jobs in the report.
        report: takes one line for each job.

    Raises:
        OSError: a record cannot be written; those before it are kept.
        ValueError: another process is using the file.
    """
    known = list(records)

    def is_done(job: RecordedJob) -> bool:
        record = _latest(job, known)
        return record is not None and record.status == "ok" and is_complete(job, record)

    waiting = [job for job in jobs if not is_done(job)]
    if len(waiting) < len(jobs):
        report(f"{len(jobs) - len(waiting)} of {len(jobs)} {unit} are done already")
    with exclusive(path):
        for count, (job, outcome) in enumerate(run(waiting), start=1):
            outcome = _valid(job, outcome)
            record = outcome.value if outcome.error is None else job.failed(outcome.error)
            result = describe(record) if outcome.error is None else f"failed: {outcome.error}"
            report(f"[{count}/{len(waiting)}] {job.title}: {result}")
            append_jsonl(path, [record])
            known.append(record)
    return [_latest(job, known) for job in jobs]


def _valid(job: RecordedJob, outcome: Outcome) -> Outcome:
    """The outcome with its record as a file gives it back, or with the reason why it cannot be kept."""
    if outcome.error is not None:
        return outcome
    if not job.matches(outcome.value):
        return Outcome(error="its record is of another job, data or learner: the job changed what it works on.")
    try:
        return Outcome(as_read(outcome.value))
    except ValueError as error:
        return Outcome(error=f"the result is not valid: {error}")


def _latest(job: RecordedJob, records: Sequence[Any]) -> Any:
    """The last record of a job that did not fail, or else its last; None if it has none."""
    found = sorted(filter(job.matches, records), key=lambda record: record.status == "ok")
    return found[-1] if found else None
