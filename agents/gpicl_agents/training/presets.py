"""Presets: a learner with its arguments, and the training that suits them. Needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from gpicl_agents.training.config import RewardConfig, TrainConfig
from gpicl_envs.errors import UnknownNameError

Config = TypeVar("Config", TrainConfig, RewardConfig)


@dataclass(frozen=True)
class Preset(Generic[Config]):
    """A learner and how to train it.

    Args:
        description: one line for listings.
        learner: a registered learner.
        learner_kwargs: its constructor's arguments.
        batch_size: B, episodes per step.
        env: id of the environment that it is meant for; it trains on others, too.
        wrapping: what makes RL problems of that, such as trials=10 (`WrappedProblems`).
        config: how to train it.
    """

    description: str
    learner: str = "transformer"
    learner_kwargs: dict[str, Any] = field(default_factory=dict)
    batch_size: int = 16
    env: str = "GPICL-MNIST-v0"
    wrapping: dict[str, Any] = field(default_factory=dict)
    config: Config = field(kw_only=True)

    @property
    def spec(self) -> str:
        """The learner as one text, which `make_learner` reads: `transformer,width=256,n_layers=2`."""
        return ",".join([self.learner, *(f"{name}={value}" for name, value in self.learner_kwargs.items())])


PRESETS: dict[str, Preset[TrainConfig]] = {
    "fast": Preset(
        "the black-box Transformer on paired tokens, twelve projections: learns to learn in a minute on two CPU cores",
        learner_kwargs=dict(width=256, n_layers=2, n_heads=2, mlp_width=256, input_rank=64, n_projections=12),
        config=TrainConfig(steps=700, learning_rate=3e-3, warmup_steps=50),
    ),
    "similarity": Preset(
        "attention biased by input similarity: no longer a black box, learns to learn in seconds",
        learner_kwargs=dict(width=128, n_layers=2, n_heads=4, mlp_width=256, input_rank=64, similarity_bias=10.0),
        config=TrainConfig(steps=400, learning_rate=1e-2, warmup_steps=5, evaluate_every=25),
    ),
    "kernel": Preset(
        "attention biased by similarity, reading kernel ridge regressions: not a black box, strongest on few examples",
        learner="kernel-transformer",
        config=TrainConfig(steps=2000, learning_rate=4e-3, warmup_steps=50, evaluate_every=100),
    ),
    "deltanet": Preset(
        "gated DeltaNet: a black box whose memory does not grow with the episode",
        learner="gated-deltanet",
        learner_kwargs=dict(n_layers=2, mlp_width=256, input_rank=96, n_projections=8),
        config=TrainConfig(steps=850, learning_rate=3e-3, warmup_steps=50),
    ),
    "outer-product": Preset(
        "an LSTM that writes outer products to a fast-weight matrix: a black box whose memory does not grow",
        learner="outer-product-lstm",
        learner_kwargs=dict(width=128, input_rank=96, n_projections=8),
        config=TrainConfig(steps=850, learning_rate=3e-3, warmup_steps=50),
    ),
    "lstm": Preset(
        "an LSTM: leaves the plateau after some thousand steps, and is far from done after four minutes of a CPU core",
        learner="lstm",
        learner_kwargs=dict(width=256, input_rank=32, n_projections=8),
        config=TrainConfig(steps=2500, learning_rate=4e-3, warmup_steps=100),
    ),
    "vsml": Preset(
        "VSML: the parameters of one tiny LSTM for all inputs and classes; its steps are slow",
        learner="vsml",
        config=TrainConfig(steps=340, learning_rate=1e-2, warmup_steps=100),
    ),
    "regression": Preset(
        "gated DeltaNet for functions (Garg et al. 2022): nears ridge regression in minutes on two CPU cores",
        learner="gated-deltanet",
        learner_kwargs=dict(width=64, n_layers=4, n_heads=1, mlp_width=128),
        batch_size=64,
        env="GPICL-LinearRegression-v0",
        config=TrainConfig(steps=3000, learning_rate=3e-3, warmup_steps=100, evaluate_every=100),
    ),
    "regression-transformer": Preset(
        "the black-box Transformer on paired tokens for functions: slower than `regression`",
        learner_kwargs=dict(width=64, n_layers=4, n_heads=1, mlp_width=128),
        batch_size=64,
        env="GPICL-LinearRegression-v0",
        config=TrainConfig(steps=3000, learning_rate=4e-3, warmup_steps=100, evaluate_every=100),
    ),
    "paper": Preset(
        "the paper's Transformer (4 layers, 8 heads of 32) on the paper's tokens, with our learning rate: on a CPU it "
        "stays on the plateau for hours",
        learner_kwargs=dict(tokens="paper", width=256, n_layers=4, n_heads=8, input_rank=0),
        batch_size=128,
        config=TrainConfig(
            steps=50_000, learning_rate=1e-3, warmup_steps=1000, evaluate_every=500, checkpoint_every=1000
        ),
    ),
    "maml": Preset(
        "MAML, online and of second order: meta-trains the initial weights and learning rates of a linear classifier",
        learner="maml",
        config=TrainConfig(steps=300, learning_rate=1e-2, warmup_steps=20),
    ),
    "tiny": Preset(
        "for tests: takes seconds and learns next to nothing",
        learner_kwargs=dict(width=32, n_layers=1, n_heads=1, input_rank=16, similarity_bias=10.0),
        batch_size=8,
        config=TrainConfig(steps=30, learning_rate=6e-3, warmup_steps=10, evaluate_every=10, checkpoint_every=10),
    ),
}


_TRANSFORMER = dict(width=64, n_layers=2, n_heads=4, mlp_width=128)


def _ppo(**settings: Any) -> RewardConfig:
    """The training of policies with a critic."""
    same = dict(warmup_steps=20, minibatches=4, evaluate_every=20, evaluate_problems=1000, checkpoint_every=50)
    return RewardConfig(**same | settings)


REWARD_PRESETS: dict[str, Preset[RewardConfig]] = {
    "rewards": Preset(
        "the Transformer on supervised problems, from the rewards of its predictions alone",
        batch_size=32,
        config=RewardConfig(),
    ),
    "bandit": Preset(
        "a GRU with a critic: above Thompson sampling after ten minutes of one CPU core",
        learner="gru",
        learner_kwargs=dict(width=64),
        batch_size=256,
        env="GPICL-Bandit-v0",
        config=_ppo(steps=600, learning_rate=3e-3, epochs=4, discount=0.99, gae_lambda=0.95, clip_norm=0.5),
    ),
    "mdp": Preset(
        "a Transformer with a critic for random MDPs: above posterior sampling after eight minutes of one CPU core",
        learner_kwargs=_TRANSFORMER,
        batch_size=192,
        env="GPICL-TabularMDP-v0",
        config=_ppo(steps=330, learning_rate=4e-3, epochs=3, discount=0.9, gae_lambda=0.8),
    ),
    "dark-room": Preset(
        "a Transformer with a critic that searches a room for its goal, and returns to it: eight minutes of a CPU core",
        learner_kwargs=_TRANSFORMER,
        batch_size=192,
        env="GPICL-DarkRoom-v0",
        config=_ppo(steps=330, learning_rate=4e-3, epochs=3, discount=0.95, gae_lambda=0.9, entropy=0.02),
    ),
    "control": Preset(
        "a gated DeltaNet with a critic for any environment of Gymnasium, several episodes of which make a problem",
        learner="gated-deltanet",
        learner_kwargs=dict(width=64, n_layers=2, mlp_width=128),
        batch_size=32,
        env="CartPole-v1",
        wrapping=dict(trials=10),
        config=_ppo(
            steps=300,
            learning_rate=3e-3,
            epochs=2,
            minibatches=8,
            discount=0.97,
            gae_lambda=0.9,
            clip_norm=0.5,
            evaluate_problems=100,
        ),
    ),
}


def find_preset(name: str, presets: Mapping[str, Preset[Any]] = PRESETS) -> Preset[Any]:
    """Return a preset by its name; an unknown name lists the valid ones."""
    if name not in presets:
        raise UnknownNameError("preset", name, presets, "To train another learner, give --learner.")
    return presets[name]
