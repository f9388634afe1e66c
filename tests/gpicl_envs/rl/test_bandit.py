"""The Bernoulli bandit: known answers."""

import pytest
import torch

from gpicl_envs.rl.bandit import Bandit


def test_the_best_arm_has_its_expected_value():
    """E max of A uniform numbers is A / (A + 1)."""
    for n_arms in (2, 5, 10):
        made = Bandit(n_arms=n_arms, length=1)
        best = made.best_return(made.sample(4000))
        assert best.mean().item() == pytest.approx(n_arms / (n_arms + 1), abs=4 * best.std().item() / 4000**0.5)


def test_arms_pay_as_often_as_they_say():
    made = Bandit(n_arms=3, length=4000)
    problems = made.sample(20)
    state = made.first_state(problems)
    steps = torch.arange(4000)
    for arm in range(3):
        action = torch.full((20,), arm)
        paid = torch.stack([made.transition(problems, state, action, n.expand(20))[1] for n in steps], 1).mean(1)
        assert torch.allclose(paid, problems.hidden["p"][:, arm], atol=0.04)


def test_all_arms_read_the_same_luck():
    """If an arm pays, every arm of a higher probability would have paid too."""
    made = Bandit()
    problems = made.sample(500)
    n, state = torch.zeros(500, dtype=torch.int64), made.first_state(problems)
    paid = torch.stack([made.transition(problems, state, torch.full((500,), arm), n)[1] for arm in range(5)], 1)
    in_order = paid.gather(1, problems.hidden["p"].argsort(1))
    assert (in_order.diff(dim=1) >= 0).all() and 0 < paid.mean() < 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"n_arms": 0}, "n_arms=0"), ({"n_arms": 1}, "nothing to learn"), ({"length": 0}, "length=0")],
)
def test_bad_arguments_are_refused(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        Bandit(**arguments)


def test_a_description_tells_the_best_arm():
    made = Bandit(n_arms=3)
    problems = made.sample(1)
    problems.hidden["p"][0] = torch.tensor([0.25, 0.75, 0.5])
    assert made.describe(problems, 0, 0).splitlines()[1:] == ["arm 0: 0.25", "arm 1: 0.75 (best)", "arm 2: 0.50"]
