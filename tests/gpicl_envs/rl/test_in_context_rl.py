"""The entry points of the ids."""

import re

import gymnasium

from gpicl_envs.registration import rl_environments
from gpicl_envs.rl.in_context_rl import ProblemEnv, ProblemVectorEnv


def test_the_ids_make_these_classes():
    for env_id in rl_environments():
        assert type(gymnasium.make(env_id).unwrapped) is ProblemEnv
        assert type(gymnasium.make_vec(env_id, num_envs=2).unwrapped) is ProblemVectorEnv


def test_the_registry_is_printed_with_our_ids_under_a_heading_of_their_own():
    parts = re.split(r"===== (.+) =====\n", gymnasium.pprint_registry(disable_print=True))
    ids = dict(zip(parts[1::2], (part.split() for part in parts[2::2]), strict=True))
    assert rl_environments().keys() == set(ids["in_context_rl"])
