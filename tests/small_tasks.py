"""Distributions and environments that tests share."""

import gymnasium
import numpy as np
import torch

from gpicl_envs.tasks.classification import TaskDistribution

SMALL = {"n_features": 16, "length": 6}

# One of each kind of distribution, and of each variant.
EVERY_KIND = [
    {},
    {"n_tasks": 1000},
    {"route": "matrix"},
    {"projection": "orthogonal"},
    {"projection": "orthogonal", "route": "matrix", "n_features": 32},
    {"projection": "none"},
    {"n_classes": 4},
    {"dataset": "Random"},
    {"dataset": "Digits", "length": 700},
    {"dataset": "Clusters", "permutation_bias": 0.5},
]
EVERY_VARIANT = [
    {"label_noise": 0.3},
    {"class_imbalance": 9.0},
    {"dataset": "Digits", "class_imbalance": 9.0, "length": 90},
    {"drift_every": 6},
    {"drift_every": 6, "n_tasks": 100, "permutation_bias": 0.5},
    {"distractors": 30, "route": "matrix"},
    {"n_classes": 4, "shots": 3},
    {"active_classes": (2, 7)},
    {"active_classes": (2, 5), "shots": 3, "label_noise": 0.3, "length": 20},
    {"n_tasks": 9, "active_classes": (3, 8), "class_imbalance": 9.0},
    {"length": 21, "burstiness": 4, "p_bursty": 0.5, "zipf": 1.0},
    {"length": 6, "zipf": 1.0, "query": "not-in-context", "classes": (0, 8), "active_classes": (6, 8)},
    {"length": 9, "query": "in-context"},
    {"drift_every": 6, "drift": "return"},
    {"drift_every": 5, "drift": "return", "n_tasks": 9, "distractors": 3},
    {"x_spectrum": "skewed", "x_scale": 2.0, "route": "matrix"},
    {"dataset": "Clusters", "n_clusters": 70, "within_class_noise": 0.5, "active_classes": 70, "zipf": 1.0},
]


def tasks_of(**arguments) -> TaskDistribution:
    """Digits with 16 features and 50 examples, unless arguments say otherwise."""
    return TaskDistribution(**({"dataset": "Digits", "n_features": 16, "length": 50} | arguments))


def base_labels(tasks: TaskDistribution, episodes) -> torch.Tensor:
    """(B, N) labels of the base dataset, before permutation and noise."""
    return torch.from_numpy(tasks.dataset.y[tasks.split])[episodes.index]


def make(env_id: str = "GPICL-Digits-v0", **arguments):
    return gymnasium.make(env_id, **(SMALL | arguments))


def make_vec(env_id: str = "GPICL-Digits-v0", num_envs: int = 3, **arguments):
    return gymnasium.make_vec(env_id, num_envs=num_envs, **(SMALL | arguments))


def play(env, act) -> tuple[list, list, list]:
    """Step a vector environment through one episode; act(t, observation) gives the actions."""
    observations, rewards, infos = [env.reset(seed=0)[0]], [], []
    for t in range(SMALL["length"]):
        observation, reward, _, _, info = env.step(act(t, observations[-1]))
        observations.append(observation)
        rewards.append(reward)
        infos.append(info)
    return observations, rewards, infos


def play_right(render_mode: str, steps: int, env_id: str = "GPICL-MNIST-v0", **arguments):
    """Return an environment after some right predictions."""
    env = gymnasium.make(env_id, render_mode=render_mode, **arguments)
    env.reset(seed=0)
    episode = env.unwrapped.episode
    for t in range(steps):
        env.step(int(episode.y[0, t]))
    return env


def assert_same(a, b) -> None:
    """Equal numbers at every place of a nest of tuples, lists, dicts and arrays; durations aside."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a.keys() - {"t"}:
            assert_same(a[key], b[key])
    elif isinstance(a, (tuple, list)):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_same(one, other)
    elif isinstance(a, np.ndarray) and a.dtype == object:
        assert_same(list(a), list(b))
    else:
        assert np.array_equal(a, b)
