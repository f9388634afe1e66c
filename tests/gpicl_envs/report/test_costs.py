from dataclasses import replace

from small_records import scored_record

from gpicl_envs.evaluation.provenance import Provenance
from gpicl_envs.report import group
from gpicl_envs.report.costs import COSTS
from gpicl_envs.report.model import LEAD, details

TIME, FLOPS = COSTS


def test_costs_are_of_one_prediction():
    record = scored_record((5, 6, 7), wall_seconds=0.9, flops_per_prediction=47_040.0)  # of 3 episodes of 30 examples
    assert TIME.value(record) == 10.0 and FLOPS.value(record) == 47.04
    assert FLOPS.value(scored_record()) is None


def test_times_are_compared_on_one_machine_alone_and_operations_everywhere():
    here, there = scored_record(learner="a", flops_per_prediction=1.0), Provenance("cuda", "a GPU")
    other = replace(here, learner="b", provenance=there, flops_per_prediction=2.0)
    assert TIME.front([here, other]) == [] and FLOPS.front([here, other]) == [here]
    assert TIME.front([here]) == [here]


def test_the_table_of_details_has_both_costs_and_marks_the_front():
    cheap = scored_record((3, 3), learner="cheap", flops_per_prediction=1234.0, wall_seconds=0.6)
    good = scored_record((6, 6), learner="good", flops_per_prediction=5_678_000.0, wall_seconds=60.0)
    old = scored_record((5, 5), learner="old", wall_seconds=90.0)
    table = details(group([cheap, good, old]))
    places = [table.heads.index(cost.head) for cost in COSTS]
    cells = {row.cells[0].text: [row.cells[place] for place in places] for row in table.rows}
    assert [cell.text for cell in cells["cheap"]] == ["10", "1.23"] and cells["cheap"][1].value == 1.234
    assert [cell.text for cell in cells["good"]] == ["1,000", "5,678"]
    assert [cell.text for cell in cells["old"]] == ["1,500", "unknown"]
    marked = {name: [cell.emphasis == LEAD for cell in both] for name, both in cells.items()}
    assert marked == {"cheap": [True, True], "good": [True, True], "old": [False, False]}
