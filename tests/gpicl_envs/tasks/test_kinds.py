import pytest

from gpicl_envs import FunctionDistribution, TableDistribution, TaskDistribution, TaskMixture
from gpicl_envs.tasks import KINDS, make_tasks
from gpicl_envs.tasks.kinds import SIMPLE_KINDS, make_kind


@pytest.mark.parametrize(
    ("arguments", "kind", "name"),
    [
        ({}, TaskDistribution, "MNIST"),
        ({"function": None, "prior": None}, TaskDistribution, "MNIST"),
        ({"dataset": "Digits"}, TaskDistribution, "Digits"),
        ({"function": "DecisionTree"}, FunctionDistribution, "DecisionTree"),
        ({"prior": "SyntheticTables"}, TableDistribution, "SyntheticTables"),
        ({"mixture": "GeneralMixture"}, TaskMixture, "GeneralMixture"),
    ],
    ids=str,
)
def test_the_argument_that_is_given_names_the_kind(arguments: dict, kind: type, name: str):
    made = make_tasks(**arguments, length=4)
    assert type(made) is kind and made.name == name and made.length == 4


def test_the_kinds_without_mixtures_are_those_of_a_mixture():
    assert {**SIMPLE_KINDS, "mixture": TaskMixture} == KINDS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dataset": None}, "dataset=None is not allowed"),
        (
            {"dataset": "Digits", "function": "DecisionTree"},
            "and function='DecisionTree' name 2 kinds",
        ),
        ({"function": "DecisionTree", "shots": 2}, "'shots': it is one of TaskDistribution alone. Leave it out."),
        ({"dataset": "Digits", "noise": 2}, "'noise': it is one of FunctionDistribution alone. Leave it out."),
        ({"dataset": "Digits", "lenght": 2}, "Did you mean 'length'"),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_explained(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        make_kind(SIMPLE_KINDS, arguments)
