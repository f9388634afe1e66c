"""`PageContent`: what an environment's page has beside what the pages of all ids have."""

from dataclasses import dataclass
from pathlib import Path

from gpicl_envs.envs.batch_of_one import BatchOfOne
from gpicl_envs.evaluation.records import ScoredRecord
from gpicl_envs.evaluation.return_records import ReturnRecord
from gpicl_envs.sampling.distribution import Distribution

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True)
class PageContent:
    """What is special to the page of an id.

    Args:
        env: the single environment; the docstring of its vector environment has the sections that its ids share.
        distribution: of what is drawn; its docstring has the arguments.
        shared_arguments: what the other arguments of the environments are about.
        picture: a picture with its caption, or nothing.
        sections: texts by title, which follow those of the vector environment.
    """

    env: type[BatchOfOne]
    distribution: type[Distribution]
    shared_arguments: str
    picture: str
    sections: dict[str, str]


def provenance(record: ScoredRecord | ReturnRecord, path: Path, command: str, what: str = "episodes") -> str:
    """Return how many episodes or problems were evaluated, by which command if the record has none, and where."""
    made = record.provenance
    versions = ", ".join(f"{name} {version}" for name, version in made.versions.items())
    return (
        f"{record.episodes:,} {what}, the same for all; their intervals are of this method: "
        f"{record.interval_method}. Made by `{made.command or command}` "
        f"and kept in `{path.relative_to(ROOT).as_posix()}` (seed {record.seed}, {made.device}, {versions})."
    )
