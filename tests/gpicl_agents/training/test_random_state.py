import random

import numpy as np
import torch

from gpicl_agents.training.random_state import random_state, restore_random_state, seeded, unchanged


def draw() -> list[float]:
    return [torch.rand(1).item(), np.random.normal(), random.gauss(0, 1), np.random.random(), random.random()]


def test_a_seed_decides_all_generators_and_leaves_them_as_they_were():
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    expected = draw()
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    found = []
    for seed in (5, 5, 6):
        with seeded(seed):
            found.append(draw())
    assert found[0] == found[1] and not set(found[0]) & set(found[2])
    assert draw() == expected
    with seeded(2**40 + 1):  # NumPy takes 32 bits
        draw()


def test_a_state_survives_a_file_and_continues_the_streams(tmp_path):
    """Also the second of the two normal numbers that Python and NumPy draw at a time."""
    with seeded(0):
        draw()
        torch.save(random_state(torch.device("cpu")), tmp_path / "state.pt")
        expected = draw()
        draw()
        restore_random_state(torch.load(tmp_path / "state.pt", weights_only=True), torch.device("cpu"))
        assert draw() == expected


def test_a_checkpoint_that_has_torchs_state_alone_is_restored_as_far_as_it_goes():
    with seeded(0):
        state = {"rng": torch.get_rng_state()}
        expected, (_, *other) = torch.rand(1).item(), draw()
        restore_random_state(state, torch.device("cpu"))
        assert torch.rand(1).item() == expected and other


def test_what_is_drawn_in_between_leaves_the_generators_unchanged():
    with seeded(0):
        expected = draw()
    with seeded(0):
        with unchanged(torch.device("cpu")):
            draw()
            torch.manual_seed(9), random.seed(9), np.random.seed(9)
        assert draw() == expected
