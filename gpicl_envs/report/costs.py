"""What a prediction costs, in seconds and in operations, and which learners are not beaten at their cost."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gpicl_envs.evaluation.comparisons import pareto_front
from gpicl_envs.evaluation.records import ScoredRecord

NOTE = (
    "ms a prediction: in batches, on the machine named below. kFLOP a prediction: thousands of floating-point "
    "operations of matrix products, attention and convolutions on torch, on an episode of random numbers; unknown for "
    "what computes elsewhere. Bold costs: no other learner of the column is both as cheap and as good, and better in "
    "one (by their means; ms only if all were measured on one machine)."
)


class Cost(NamedTuple):
    """What a prediction costs, in one of two units: the head of its column, and its value, None for unknown.

    `same_machine` is whether values of different machines cannot be compared.
    """

    head: str
    value: Callable[[ScoredRecord], float | None]
    same_machine: bool

    def text(self, record: ScoredRecord) -> str:
        """Return the value with three digits, or all those before the point."""
        value = self.value(record)
        return "unknown" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

    def front(self, records: Sequence[ScoredRecord]) -> list[ScoredRecord]:
        """Return the Pareto front of a column, cheapest first; none if the records cannot be compared."""
        machines = {(record.provenance.machine, record.provenance.device) for record in records}
        return [] if self.same_machine and len(machines) > 1 else pareto_front(records, self.value)


COSTS = (
    Cost("ms a prediction", lambda record: 1000 * record.seconds_per_prediction, True),
    Cost("kFLOP a prediction", lambda record: _thousands(record.flops_per_prediction), False),
)


def _thousands(value: float | None) -> float | None:
    return None if value is None else value / 1000
