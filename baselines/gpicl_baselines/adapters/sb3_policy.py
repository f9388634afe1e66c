"""PPO and RecurrentPPO of stable-baselines3 as learners: trained by their own code, evaluated like all others.

A trained policy is saved as safetensors and JSON, since the zip files of stable-baselines3 hold pickles, which run code
when they are loaded.
"""

import shutil
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from gpicl_baselines.adapters.sb3_player import Sb3Player
from gpicl_envs.datasets.cache import sha256_of
from gpicl_envs.datasets.files import writing
from gpicl_envs.errors import check_choice, check_integer, check_number
from gpicl_envs.evaluation.schema import from_json, to_json
from gpicl_envs.learners.base import Learner

ALGORITHMS = ("PPO", "RecurrentPPO")
FORMAT = "gpicl-sb3-1"
MODEL, CONFIG = "model.safetensors", "config.json"


@dataclass(frozen=True)
class PolicyConfig:
    """What `config.json` of a saved policy holds.

    Args:
        format: of the folder.
        algorithm: `"PPO"` or `"RecurrentPPO"`.
        n_features: D.
        n_classes: K.
        sha256: of the file of weights.
        trained: for how long, and on what.
    """

    format: str
    algorithm: Literal["PPO", "RecurrentPPO"]
    n_features: int
    n_classes: int
    sha256: str
    trained: dict[str, Any]


class PolicyLearner(Learner, torch.nn.Module):
    """A policy over the flat observation (x, one-hot label of the previous example), whose actions are labels.

    Its logits are those of the policy's action distribution. PPO's policy has no memory; RecurrentPPO's has an LSTM.
    The number of parameters includes the critic. One of in-context RL problems has D + 2 features (the previous reward
    and the start of an episode are inputs) and A classes, the actions; `as_player` plays it.

    Args:
        algorithm: `"PPO"` or `"RecurrentPPO"`.
    """

    def __init__(self, algorithm: str = "PPO", n_features: int = 784, n_classes: int = 10) -> None:
        super().__init__(n_features, n_classes)
        self.algorithm: Any = check_choice("algorithm", algorithm, ALGORITHMS)
        observations = Box(-np.inf, np.inf, (n_features + n_classes,), np.float32)
        made, policy = _algorithm(algorithm)
        self.policy = made.policy_aliases[policy](observations, Discrete(n_classes), lambda _: 0.0)

    @property
    def name(self) -> str:
        """Such as `sb3-PPO`."""
        return f"sb3-{self.algorithm}"

    def as_player(self, made: Any = None, greedy: bool = False) -> Sb3Player:
        """Return the player of in-context RL problems, of any distribution `made`, whose policy this is."""
        return Sb3Player(self.policy, self.name, greedy)

    def start(self, batch_size: int) -> Any:
        """The LSTM's state, (layers, B, H) twice, and whether an episode starts; None without an LSTM."""
        if self.algorithm == "PPO":
            return None
        lstm = self.policy.lstm_actor
        zeros = torch.zeros(lstm.num_layers, batch_size, lstm.hidden_size, device=self.device)
        return (zeros, zeros), torch.ones(batch_size, device=self.device)

    def step(self, state: Any, x: torch.Tensor, y_previous: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """(B, D), (B, K) → log-probabilities of the K actions (B, K)."""
        observation = torch.cat([x, y_previous], dim=1)
        if state is None:
            return self.policy.get_distribution(observation).distribution.logits, None
        memory, starts = state
        actions, after = self.policy.get_distribution(observation, memory, starts)
        return actions.distribution.logits, (after, torch.zeros_like(starts))

    def state_size(self, n_examples: int) -> int:
        """The LSTM's two vectors, and the label of the previous example."""
        if self.algorithm == "PPO":
            return self.n_classes
        lstm = self.policy.lstm_actor
        return 2 * lstm.num_layers * lstm.hidden_size + self.n_classes


def train_policy(
    algorithm: str,
    env_id: str,
    folder: str | Path,
    *,
    seconds: float,
    num_envs: int = 16,
    seed: int = 0,
    device: str = "cpu",
    **env_kwargs: Any,
) -> PolicyLearner:
    """Train with stable-baselines3's defaults on whole-episode rollouts, and save the policy in a folder.

    Args:
        algorithm: `"PPO"` or `"RecurrentPPO"`.
        env_id: a classification environment, whose actions are labels, or one of in-context RL.
        folder: new or empty.
        seconds: time to train.
        num_envs: number of parallel environments.
        seed: seed of weights, actions and episodes.
        device: cpu or cuda.
        **env_kwargs: arguments of `gymnasium.make_vec`.

    Raises:
        ValueError: an argument is not allowed, or the folder is not new or empty.
    """
    check_choice("algorithm", algorithm, ALGORITHMS)
    check_number("seconds", seconds, 0.1)
    check_integer("num_envs", num_envs, 1)
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is not an empty folder: give another one (--out).")
    made, policy = _algorithm(algorithm)
    from gpicl_envs.wrappers.sb3 import Sb3VecEnv  # needs stable-baselines3

    venv = Sb3VecEnv(env_id, num_envs=num_envs, flatten=True, **env_kwargs)
    if not isinstance(venv.action_space, Discrete):
        raise ValueError(f"{env_id} with {env_kwargs} has no labels as actions: give a classification environment.")
    n_classes = int(venv.action_space.n)
    n_features = int(venv.observation_space.shape[0]) - n_classes  # type: ignore[index]
    length = int(venv.env.unwrapped.length)  # type: ignore[attr-defined]
    batch = max(2, num_envs * length // 4)
    model = made(policy, venv, n_steps=length, batch_size=batch, seed=seed, device=device)
    end = time.perf_counter() + seconds
    model.learn(10**9, callback=lambda *_: time.perf_counter() < end)
    learner = PolicyLearner(algorithm, n_features, n_classes)
    learner.policy.load_state_dict(model.policy.state_dict())
    trained = {"seconds": seconds, "examples": model.num_timesteps, "env": env_id, "seed": seed} | {
        name: getattr(value, "name", value)
        for name, value in env_kwargs.items()  # of a `Dataset`
    }
    _save(learner, folder, trained)
    return learner.eval()


def load_policy(folder: str | Path) -> PolicyLearner:
    """Return the learner that `train_policy` saved, for `sb3:FOLDER`.

    Raises:
        ValueError: the folder holds none, or its files are damaged.
    """
    folder = Path(folder)
    if folder.suffix == ".zip":
        raise ValueError(
            f"{folder}: zip files of stable-baselines3 hold pickles, which run code when they are loaded. Train by "
            "`gpicl train-sb3`; or, if you trust the file, load it in Python, and give Sb3Player(model.policy) of "
            "gpicl_baselines.adapters.sb3_player to evaluate_players."
        )
    if not (folder / CONFIG).is_file() or not (folder / MODEL).is_file():
        raise ValueError(f"{folder} holds no policy ({MODEL} and {CONFIG}): `gpicl train-sb3 --out` makes one.")
    try:
        text = (folder / CONFIG).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{folder / CONFIG} is not text ({error.reason}): train again.") from None
    config: PolicyConfig = from_json(text, PolicyConfig, str(folder / CONFIG), ("format", FORMAT))
    if sha256_of(folder / MODEL) != config.sha256:
        raise ValueError(
            f"{folder / MODEL} is damaged or was replaced: its sha256 differs from that in {CONFIG}. Train again."
        )
    try:
        weights = load_file(folder / MODEL)
        width = config.n_features + config.n_classes  # checked before memory of that size is taken
        if not any(values.shape[1:] == (width,) for values in weights.values()):
            raise ValueError(f"no weights take inputs of n_features + n_classes = {width} numbers")
        learner = PolicyLearner(config.algorithm, config.n_features, config.n_classes)
        learner.load_state_dict(weights)
    except (RuntimeError, SafetensorError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{folder / MODEL} does not fit its {CONFIG}: {reason}. Train again.") from None
    if wrong := [name for name, values in weights.items() if not values.isfinite().all()]:
        raise ValueError(f"{folder / MODEL} holds numbers that are not finite, in {', '.join(wrong)}. Train again.")
    return learner.eval()


def _save(learner: PolicyLearner, folder: Path, trained: dict[str, Any]) -> None:
    """Write the folder under another name first, so that it never exists half-written."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed
    weights = save({name: values.contiguous() for name, values in learner.state_dict().items()})
    digest = sha256(weights).hexdigest()
    config = PolicyConfig(FORMAT, learner.algorithm, learner.n_features, learner.n_classes, digest, trained)
    try:
        with writing(folder):
            partial.mkdir(parents=True)
            (partial / MODEL).write_bytes(weights)
            (partial / CONFIG).write_text(to_json(config) + "\n", encoding="utf-8")
            if folder.exists():
                folder.rmdir()
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _algorithm(name: str) -> tuple[Any, str]:
    """The class of an algorithm, and the name of its policy."""
    try:
        from sb3_contrib import RecurrentPPO
        from stable_baselines3 import PPO
    except ImportError:
        raise ValueError("This needs stable-baselines3 and sb3-contrib: pip install 'gpicl-envs[rl]'.") from None
    return (PPO, "MlpPolicy") if name == "PPO" else (RecurrentPPO, "MlpLstmPolicy")
