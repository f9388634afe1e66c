"""Sequence models that become learning algorithms: the models, their meta-training, the paper's experiments."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpicl_agents.estimators.classifier import InContextClassifier
    from gpicl_agents.estimators.regressor import InContextRegressor
    from gpicl_agents.pretrained import load_pretrained, pretrained_names
    from gpicl_agents.sharing.hub import from_pretrained, push_to_hub
    from gpicl_agents.sharing.onnx_export import export_onnx
    from gpicl_agents.training.config import RewardConfig, TrainConfig
    from gpicl_agents.training.reinforce import train_from_reward
    from gpicl_agents.training.supervised import train

# Imported when first used: most need torch, which `gpicl --help` does not.
_LAZY = {
    "InContextClassifier": "estimators.classifier",
    "InContextRegressor": "estimators.regressor",
    "RewardConfig": "training.config",
    "TrainConfig": "training.config",
    "export_onnx": "sharing.onnx_export",
    "from_pretrained": "sharing.hub",
    "load_pretrained": "pretrained",
    "pretrained_names": "pretrained",
    "push_to_hub": "sharing.hub",
    "train": "training.supervised",
    "train_from_reward": "training.reinforce",
}

__all__ = [
    "InContextClassifier",
    "InContextRegressor",
    "RewardConfig",
    "TrainConfig",
    "export_onnx",
    "from_pretrained",
    "load_pretrained",
    "pretrained_names",
    "push_to_hub",
    "train",
    "train_from_reward",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"gpicl_agents.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'gpicl_agents' has no attribute {name!r}")
