"""PPO and RecurrentPPO of stable-baselines3 as learners: trained by their own code, scored like all others.

What is kept of a training is the policy's weights as safetensors and a JSON: the zip files of stable-baselines3 hold
pickles, which run code when they are read.
"""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from safetensors.torch import load_file, save_file

from gpicl_envs.datasets.cache import sha256_of
from gpicl_envs.errors import check_choice, check_integer, check_number
from gpicl_envs.learners.base import Learner

ALGORITHMS = ("PPO", "RecurrentPPO")
FORMAT = "gpicl-sb3-1"
MODEL, CONFIG = "model.safetensors", "config.json"


class PolicyLearner(Learner, torch.nn.Module):
    """A policy over the flat observation (x, one-hot label of the example before), whose actions are labels.

    Its logits are those of the policy's distribution of actions. PPO's policy remembers nothing; RecurrentPPO's has an
    LSTM. The critic is part of it, and of its number of parameters.

    Args:
        algorithm: `"PPO"` or `"RecurrentPPO"`.
        n_features: D.
        n_classes: K.
    """

    def __init__(self, algorithm: str = "PPO", n_features: int = 784, n_classes: int = 10) -> None:
        super().__init__(n_features, n_classes)
        self.algorithm = check_choice("algorithm", algorithm, ALGORITHMS)
        seen = Box(-np.inf, np.inf, (n_features + n_classes,), np.float32)
        self.policy = _policy_class(algorithm)(seen, Discrete(n_classes), lambda _: 0.0)

    @property
    def name(self) -> str:
        """Such as `sb3-PPO`."""
        return f"sb3-{self.algorithm}"

    def start(self, batch_size: int) -> Any:
        """The LSTM's state, (layers, B, H) twice, and whether the episode begins; None without one."""
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
        memory, begins = state
        actions, after = self.policy.get_distribution(observation, memory, begins)
        return actions.distribution.logits, (after, torch.zeros_like(begins))

    def state_size(self, n_examples: int) -> int:
        """The LSTM's two vectors, and the label of the example before."""
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
    **env_arguments: Any,
) -> PolicyLearner:
    """Train with stable-baselines3's defaults on whole-episode roll-outs, and keep the policy in a folder.

    Args:
        algorithm: `"PPO"` or `"RecurrentPPO"`.
        env_id: a classification environment; its actions are labels.
        folder: must not exist, or be empty.
        seconds: of training.
        num_envs: environments at a time.
        seed: of weights, actions and episodes.
        device: cpu or cuda.
        **env_arguments: of `gymnasium.make_vec`.

    Raises:
        ValueError: an argument cannot be, or the folder holds something.
    """
    check_choice("algorithm", algorithm, ALGORITHMS)
    check_number("seconds", seconds, 0.1)
    check_integer("num_envs", num_envs, 1)
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} holds something already: give another folder (--out).")
    _stable_baselines()
    from stable_baselines3.common.callbacks import BaseCallback

    from gpicl_envs.wrappers.sb3 import Sb3VecEnv

    venv = Sb3VecEnv(env_id, num_envs=num_envs, flatten=True, **env_arguments)
    if not isinstance(venv.action_space, Discrete):
        raise ValueError(f"{env_id} with {env_arguments} has no labels as actions: give a classification environment.")
    n_classes = int(venv.action_space.n)
    n_features = int(venv.observation_space.shape[0]) - n_classes  # type: ignore[index]
    length = int(env_arguments.get("length", 100))

    class Clock(BaseCallback):
        def _on_training_start(self) -> None:
            self.ends = time.perf_counter() + seconds

        def _on_step(self) -> bool:
            return time.perf_counter() < self.ends

    batch = max(2, num_envs * length // 4)
    made, policy = _algorithm(algorithm)
    model = made(policy, venv, n_steps=length, batch_size=batch, seed=seed, device=device)
    model.learn(10**9, callback=Clock())
    learner = PolicyLearner(algorithm, n_features, n_classes)
    learner.policy.load_state_dict(model.policy.state_dict())
    trained = {"seconds": seconds, "examples": model.num_timesteps, "env": env_id, "seed": seed, **env_arguments}
    _save(learner, folder, trained)
    return learner.eval()


def load_policy(folder: str | Path) -> PolicyLearner:
    """Return the learner that `train_policy` has kept, for `sb3:FOLDER`.

    Raises:
        ValueError: the folder holds none, or its files are not what was written.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file() or not (folder / MODEL).is_file():
        raise ValueError(f"{folder} holds no policy ({MODEL} and {CONFIG}): `gpicl train-sb3 --out` makes one.")
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        form, digest = config["format"], config["sha256"]
        arguments = {name: config[name] for name in ("algorithm", "n_features", "n_classes")}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / CONFIG} is damaged ({error}): train again.") from None
    if form != FORMAT:
        raise ValueError(f"{folder / CONFIG} has the format {form!r}, but this version reads {FORMAT!r}.")
    if sha256_of(folder / MODEL) != digest:
        raise ValueError(f"{folder / MODEL} is damaged or exchanged: its sha256 is not that of {CONFIG}. Train again.")
    learner = PolicyLearner(**arguments)
    try:
        learner.load_state_dict(load_file(folder / MODEL))
    except RuntimeError as error:
        raise ValueError(f"{folder / MODEL} does not fit {arguments}: {str(error).splitlines()[0]}") from None
    return learner.eval()


def _save(learner: PolicyLearner, folder: Path, trained: dict[str, Any]) -> None:
    """Write the folder under another name first, so that it is whole once it is there."""
    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    save_file({name: values.contiguous() for name, values in learner.state_dict().items()}, partial / MODEL)
    config = {
        "format": FORMAT,
        "algorithm": learner.algorithm,
        "n_features": learner.n_features,
        "n_classes": learner.n_classes,
        "trained": trained,
        "sha256": sha256_of(partial / MODEL),
    }
    (partial / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    if folder.exists():
        folder.rmdir()
    partial.rename(folder)


def _stable_baselines() -> None:
    try:
        import sb3_contrib  # noqa: F401
        import stable_baselines3  # noqa: F401
    except ImportError:
        raise ValueError("This needs stable-baselines3 and sb3-contrib: pip install 'gpicl-envs[rl]'.") from None


def _algorithm(algorithm: str) -> tuple[Any, str]:
    _stable_baselines()
    if algorithm == "PPO":
        from stable_baselines3 import PPO

        return PPO, "MlpPolicy"
    from sb3_contrib import RecurrentPPO

    return RecurrentPPO, "MlpLstmPolicy"


def _policy_class(algorithm: str) -> Any:
    made, policy = _algorithm(algorithm)
    return made.policy_aliases[policy]
