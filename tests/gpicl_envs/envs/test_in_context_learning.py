import re

import gymnasium

import gpicl_envs
from gpicl_envs.registration import environments


def test_the_registry_is_printed_with_our_ids_under_a_heading_of_their_own():
    printed = gymnasium.pprint_registry(disable_print=True)
    parts = re.split(r"===== (.+) =====\n", printed)
    ids = dict(zip(parts[1::2], (part.split() for part in parts[2::2]), strict=True))
    assert environments().keys() <= set(ids["in_context_learning"])
    assert all(name.startswith("GPICL-") for name in ids["in_context_learning"])


def test_the_entry_points_make_the_public_classes():
    assert type(gymnasium.make("GPICL-Digits-v0").unwrapped) is gpicl_envs.InContextEnv
    assert type(gymnasium.make_vec("GPICL-Digits-v0", num_envs=1).unwrapped) is gpicl_envs.InContextVectorEnv
