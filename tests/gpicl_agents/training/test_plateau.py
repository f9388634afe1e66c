from dataclasses import asdict

import torch

from gpicl_agents.training.plateau import Plateau, first_and_last


def test_the_plateau_ends_when_late_predictions_leave_chance():
    plateau = Plateau()
    assert not any(plateau.update(step, 0.1, 0.1 + 0.05 * (step % 2)) for step in range(100))  # noise
    ends = [step for step in range(100, 200) if plateau.update(step, 0.1, 0.5)]
    assert len(ends) == 1 and 100 <= ends[0] < 120 and plateau.end == ends[0]


def test_a_lucky_first_step_does_not_end_the_plateau():
    assert not Plateau().update(1, 0.0, 0.9)


def test_the_plateau_continues_from_its_state():
    whole, part = Plateau(), Plateau()
    gains = [0.1 + 0.01 * step for step in range(60)]
    for step, gain in enumerate(gains):
        whole.update(step, 0.1, gain)
        part.update(step, 0.1, gain)
        part = Plateau(**asdict(part))
    assert whole == part and whole.end is not None


def test_first_and_last():
    correct = torch.zeros(2, 20, dtype=torch.bool)
    correct[:, 0] = torch.tensor([True, False])
    correct[:, -5:] = True
    assert first_and_last(correct) == (0.5, 0.5)
