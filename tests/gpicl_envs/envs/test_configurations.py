"""Hundreds of random configurations, and thousands in CI: each gives clean episodes or one clear error."""

from collections import Counter
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpicl_envs.datasets import Dataset
from gpicl_envs.envs.vector_env import InContextVectorEnv

PIXELS = np.random.default_rng(0).integers(0, 256, size=(90, 4, 4), dtype=np.uint8)
MANY = Dataset(  # 18 classes of 5 examples, as few-shot datasets are; some classes in one split only
    "Many",
    {"train": PIXELS, "test": PIXELS},
    {"train": np.arange(90) % 18, "test": 3 + np.arange(90) % 15},
    n_classes=18,
)


def usually(valid: st.SearchStrategy, *invalid: Any) -> st.SearchStrategy:
    """Draw a valid value most of the time, and sometimes one of the invalid ones."""
    return st.integers(0, 24).flatmap(lambda die: st.sampled_from(invalid) if die == 0 else valid)


SHARED = {
    "length": usually(st.integers(1, 60), 0, -3, 10**7, 2.5, "7", True),
    "n_features": usually(st.integers(3, 70), 0, -1, 3.0, None),
    "n_tasks": usually(st.none() | st.sampled_from([1, 5, 2**24]), 0, -1, 2**40, 1.5),
    "split": usually(st.sampled_from(["train", "test"]), "tests", 3),
    "drift_every": usually(st.none() | st.integers(1, 40), 0, -2, 10**6),
    "task_seed": usually(st.integers(0, 2**64 - 1), -1, 0.5, 2**64),
    "feedback": usually(st.sampled_from(["label", "reward"]), "none"),
    "autoreset_mode": st.sampled_from(["SameStep", "NextStep", "Disabled"]),
    "x_spectrum": usually(st.sampled_from(["flat", "skewed", "subspace"]), "steep"),
    "x_scale": usually(st.sampled_from([1, 0.5, 3.0]), 0, -1, float("nan")),
    "num_envs": usually(st.integers(1, 3), 0, -1, 2.0),
}
CLASSIFICATION = SHARED | {
    "dataset": usually(st.sampled_from(["Digits", "Random", "Clusters", MANY]), "Nothing"),
    "n_classes": usually(st.sampled_from([2, 3, 5, 10]), 0, 1, 500, "ten"),
    "projection": usually(st.sampled_from(["gaussian", "orthogonal"]), "none", "haar"),
    "permute_labels": st.booleans(),
    "permutation_bias": usually(st.sampled_from([0.0, 0.3, 1.0]), -0.1, 2, float("nan")),
    "label_noise": usually(st.sampled_from([0, 0.2, 1.0]), 1.01, "much", float("nan")),
    "class_imbalance": usually(st.sampled_from([1, 2.0, 100.0]), 0.9, float("inf"), float("nan")),
    "drift": usually(st.sampled_from(["task"] * 4 + ["projection", "labels", "return"]), "inputs"),
    "distractors": usually(st.sampled_from([0, 1, 2]), -1, 10**4, 0.5),
    "shots": usually(st.none() | st.sampled_from([1, 2, 4]), 0, -1, 10**5),
    "active_classes": usually(st.sampled_from([None, 2, [2, 3], [3, 9]]), 1, 99, [4, 3], [2], [2, "b"], "all"),
    "classes": usually(st.sampled_from([None, [0, 9], [2, 10]]), [3], [4, 5], [0, 99], 4),
    "burstiness": usually(st.sampled_from([None] * 5 + [1, 3, 11]), 0, -1, 10**5),
    "p_bursty": usually(st.sampled_from([1.0] * 9 + [0.4]), -0.1, 2, float("nan")),
    "zipf": usually(st.sampled_from([0, 0, 0, 1.0]), -0.5, float("nan"), float("inf")),
    "query": usually(st.sampled_from([None] * 5 + ["in-context", "not-in-context"]), "new"),
    "examples_per_task": usually(st.none() | st.sampled_from([40, 100]), 0, -1, 1, 10**7),
    "order": usually(st.sampled_from(["random"] * 9 + ["stream"]), "sorted"),
    "image_size": usually(st.none() | st.integers(1, 9), 0, -4),
    "route": usually(st.sampled_from(["auto", "auto", "matrix"]), "cholesky", "qr"),
    "action": usually(st.sampled_from(["label", "logits", None]), "value", "both"),
}
REGRESSION = SHARED | {
    "function": usually(
        st.sampled_from(["LinearRegression", "SparseLinearRegression", "TwoLayerNetwork", "DecisionTree"]), "Sine"
    ),
    "drift": usually(st.sampled_from(["task"] * 4 + ["return"]), "labels"),
    "orthants": usually(st.sampled_from([None, None, "random", "opposite"]), "same"),
    "noise": usually(st.sampled_from([0, 0.5]), -1, float("nan"), float("inf")),
    "action": usually(st.sampled_from(["value", None]), "label"),
}
outcomes: Counter[str] = Counter()


def configurations(space: dict[str, st.SearchStrategy]) -> st.SearchStrategy:
    """Draw a value for some of the arguments; the others keep their defaults, with small episodes."""
    drawn = st.fixed_dictionaries({}, optional=space).map(lambda drawn: {"length": 12, "n_features": 16} | drawn)
    # Random, drawn with replacement, would really give ten million examples, in minutes.
    return drawn.filter(lambda made: made.get("dataset") != "Random" or made["length"] != 10**7)


def check(configuration: dict[str, Any]) -> None:
    """Make the environment, play an episode, and compare every number with the configuration."""
    try:
        env = InContextVectorEnv(**configuration)
    except ValueError as error:
        outcomes["refused"] += 1
        assert 20 < len(str(error)) < 1000 and str(error).strip().endswith("."), str(error)
        return
    outcomes["played"] += 1
    for name, value in configuration.items():  # nothing was changed silently
        if name in env.tasks.arguments and not (name == "route" and value == "auto") and name != "dataset":
            assert env.tasks.arguments[name] == value, name
    batch, length = env.num_envs, env.tasks.length
    observation, _ = env.reset(seed=3)
    episodes = env.episodes
    assert episodes.x.shape == (batch, length, env.tasks.n_features) and episodes.y.shape == (batch, length)
    assert episodes.x.isfinite().all() and episodes.y.isfinite().all()
    if not env.tasks.is_regression:
        assert ((episodes.y >= 0) & (episodes.y < env.tasks.n_classes)).all()
        if not env.tasks.dataset.with_replacement:
            assert all(len(row.unique()) == length for row in episodes.index)
    shown = episodes.x.clone()
    for n in range(length):
        assert torch.equal(observation["x"], shown[:, n])
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert reward.isfinite().all() and not truncated.any() and terminated.all() == (n + 1 == length)
        assert ("label" in info.get("final_info", info)) == (env.feedback == "label")
        assert env.observation_space.contains({name: value.numpy() for name, value in observation.items()})
    if env.autoreset_mode is AutoresetMode.DISABLED:
        env.reset()
    elif env.autoreset_mode is AutoresetMode.NEXT_STEP:
        env.step(env.action_space.sample())
    assert (env.episodes.x[:, 0] != shown[:, 0]).any() and not env.step(env.action_space.sample())[3].any()


def check_many(count: int, space: dict[str, st.SearchStrategy], **always: Any) -> None:
    """Check that many random configurations."""
    options = settings(max_examples=count, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    options(given(configurations(space))(lambda configuration: check(always | configuration)))()


@pytest.mark.parametrize("count", [300, pytest.param(2200, marks=pytest.mark.slow)])
def test_random_configurations_give_clean_episodes_or_one_clear_error(count: int):
    outcomes.clear()
    check_many(count * 9 // 11, CLASSIFICATION)
    check_many(count * 2 // 11, REGRESSION, function="LinearRegression")
    assert outcomes["played"] > 0.3 * count and outcomes["refused"] > 0.18 * count, outcomes
    assert outcomes.total() > 0.9 * count


def test_unknown_arguments_name_their_nearest():
    for env_id, wrong in (("GPICL-MNIST-v0", "lenght"), ("GPICL-DecisionTree-v0", "noize")):
        try:
            gymnasium.make(env_id, **{wrong: 1})
        except ValueError as error:
            assert "Did you mean" in str(error)
        else:
            raise AssertionError(f"{wrong} was accepted")
