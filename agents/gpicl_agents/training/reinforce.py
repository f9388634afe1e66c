"""Meta-reinforcement learning: the same sequence models, trained from rewards alone.

Whole problems are played on the device, by the environment's own rules of reward and feedback: supervised ones, with
the labels shown or with bandit feedback, and RL problems, in which actions matter. The true labels enter through the
rewards of the actions played, and through what the environment shows, nowhere else. `roll_out.py` plays, and `ppo.py`
has the gradient.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from gpicl_agents.models.base import SequenceAgent
from gpicl_agents.models.kernel_transformer import KernelTransformer
from gpicl_agents.models.rl2 import BanditAgent
from gpicl_agents.training.checkpoint import Folder
from gpicl_agents.training.config import RewardConfig
from gpicl_agents.training.evaluation import EVALUATION_SEED
from gpicl_agents.training.ppo import PolicyObjective, make_batch
from gpicl_agents.training.progress import Progress
from gpicl_agents.training.random_state import seeded
from gpicl_agents.training.rl_problems import check_rl, description, env_name, trained_on, unseen_problems
from gpicl_agents.training.roll_out import RollOut, episode_returns, roll_out
from gpicl_agents.training.supervised import env_seeds
from gpicl_agents.training.tracking import Tracker
from gpicl_agents.training.trainer import Trainer
from gpicl_envs.envs.vector_env import InContextVectorEnv
from gpicl_envs.evaluation.metrics import LAST
from gpicl_envs.learners.check import check_fit


def train_from_reward(
    learner: SequenceAgent,
    venv: Any,
    config: RewardConfig | None = None,
    *,
    folder: Folder | None = None,
    resume: bool = False,
    report: Callable[[Progress], None] | None = None,
    trackers: Sequence[Tracker] = (),
) -> Progress:
    """Meta-train a sequence model from rewards alone, on whole problems.

    A run that was killed and resumed ends with the same weights (on one device, with as many threads, without
    `max_seconds`). SIGINT (Ctrl-C) or SIGTERM stops after the step, with a checkpoint; a second one stops at once.

    Args:
        learner: a `SequenceAgent` on the environment's device. For RL problems, one with D + 2 features (the previous
            reward and the start of an episode are inputs), A classes, and `normalize_inputs=False`, best with
            `value_head=True`; for a Box of actions, with `continuous_actions=True`; `set_up` makes it so. To learn from
            bandit feedback in `evaluate` too, where other learners see labels, take an `RL2` or `RL2Transformer`.
        venv: `gymnasium.make_vec("GPICL-MNIST-v0", num_envs=64, feedback="label" or "reward")`, `action="label"`; or
            `gymnasium.make_vec("GPICL-Bandit-v0", num_envs=256)`, or another vector environment that shows x, action,
            reward and start, such as `WrappedProblems("CartPole-v1", trials=10).make(64)`.
        config: how to train.
        folder: for checkpoints and `metrics.jsonl`; without it, nothing is written.
        resume: continue from the folder's newest checkpoint, if it has one.
        report: called after every step; `Progress.loss` is minus the mean reward. To stop, it sets `Progress.stopped`.
        trackers: objects that take the numbers of `metrics.jsonl` too, beside those named by `config.trackers`.

    Raises:
        ValueError: the learner or the environment does not fit, the folder is in use, it holds a run and `resume` is
            not set, or a tracker cannot begin.
        FloatingPointError: the gradient is not finite; the last checkpoint is kept.
        OSError: metrics or a checkpoint cannot be written; the last checkpoint is kept.
        KeyboardInterrupt: a signal stopped the training.
    """
    config = config or RewardConfig()
    trainer = _RewardTrainer(learner, _check(learner, venv), config, folder, trackers)
    try:
        return trainer.train(config.seed + trainer.processes.rank, resume, report)
    finally:
        if trainer.unseen is not None:
            trainer.unseen.close()  # which may have processes


class _RewardTrainer(Trainer):
    """A policy and its problems."""

    source = "rewards"
    config: RewardConfig

    def __init__(
        self, learner: Any, venv: Any, config: RewardConfig, folder: Folder | None, trackers: Sequence[Tracker]
    ) -> None:
        self.venv, self.env = venv, venv.unwrapped
        self.is_supervised = isinstance(self.env, InContextVectorEnv)
        shows_labels = self.is_supervised and self.env.feedback == "label"
        self.discount = 0.0 if shows_labels else config.discount
        fixed = {"feedback": self.env.feedback} if self.is_supervised else {"env": env_name(venv)}
        where = venv.num_envs, learner.device, folder, trackers
        super().__init__(learner, config, trained_on(venv), *where, {"betas": (0.9, 0.98), "weight_decay": 0}, **fixed)
        self.objective = self._wrapped()
        self.unseen = unseen_problems(venv, config.evaluate_problems) if self.evaluates else None
        if self.evaluates and self.unseen is None and config.target is not None:
            raise ValueError(
                f"target={config.target} is of unseen problems, and your own wrappers tell none: "
                "leave the target out, or make the environment by WrappedProblems(...).make(num_envs)."
            )

    def restore(self, state: dict[str, Any], progress: Progress) -> None:
        """Go on at the problems of the next step."""
        if self.is_supervised:
            self.env.reset(seed=self.processes.local_slice(env_seeds(self.config.seed, self.batch_size)))
        if state and not self.processes.is_main:  # the checkpoint has the main process's generators alone
            torch.manual_seed(self._own_seed(progress.step))

    def learn(self, progress: Progress, interrupted: float) -> tuple[dict[str, Any], float]:
        """Play a problem in each environment, and learn from it."""
        played = roll_out(self.learner, self.venv, self._number(progress.step))
        self._learn_from(played, progress)
        rewards = played.rewards
        found = [rewards.sum(), played.alive.sum(), rewards.sum(1).mean(), rewards[:, -LAST:].mean()]
        sums = torch.stack([value.float() for value in found]).tolist()  # read at once: a GPU waits for each read
        total, steps, gained, late, stop = self.processes.mean([*sums, interrupted])
        progress.loss, progress.accuracy = -total / steps, late
        return {"reward": total / steps} | ({"accuracy": late} if self.is_supervised else {"return": gained}), stop

    def log(self, progress: Progress, values: dict[str, Any]) -> None:
        """Log the values of a step."""
        self.run.log(progress.step, **values, learning_rate=progress.learning_rate)

    def score(self, progress: Progress) -> float | None:
        """Play unseen problems, where there are any."""
        if self.unseen is None:
            return None
        self.learner.eval()
        with seeded(EVALUATION_SEED):
            played = roll_out(self.learner, self.unseen, EVALUATION_SEED)
        self.learner.train()
        progress.evaluated, progress.returned = True, played.rewards.sum(1).mean().item()
        values: dict[str, Any] = {"unseen-task_return": round(progress.returned, 4)}
        if (made := description(self.venv)) is not None:
            of_episodes = episode_returns(played, made.n_episodes).mean(0)
            values["unseen-task_episode_return"] = [round(value, 4) for value in of_episodes.tolist()]
        self.run.log(progress.step, **values)
        self.run.flush()
        return progress.returned

    def reaches(self, score: float) -> bool:
        """Whether a mean return is as high as the target."""
        return self.config.target is not None and score >= self.config.target

    def kept(self, progress: Progress) -> dict[str, Any]:
        """Return the score for a run that ended because it reached its target."""
        return {"score": progress.returned} if progress.evaluated else {}

    def _number(self, step: int) -> int:
        """Which problem of each stream a step plays; where streams cannot be rewound, the seed of new ones."""
        return step if self.is_supervised else self._own_seed(step)

    def _own_seed(self, step: int) -> int:
        """A seed of this process for a step."""
        words = np.random.SeedSequence([self.config.seed, step, self.processes.rank]).generate_state(2, np.uint32)
        return int(words[0]) << 16 | int(words[1]) >> 16  # 48 bits: no sum of it and an environment's number overflows

    def _learn_from(self, played: RollOut, progress: Progress) -> None:
        """Take the optimizer steps of one roll-out."""
        config, rows = self.config, len(played.rewards)
        batch = make_batch(played, self.learner.value_head, config, self.discount)
        left = 1.0 - config.fraction_done(progress.step, progress.seconds)
        entropy_weight = played.x.new_full((), config.entropy * left)
        for _ in range(config.epochs):
            order = torch.randperm(rows) if config.minibatches > 1 else torch.arange(rows)
            for part in order.to(played.x.device).chunk(config.minibatches):
                mine = batch.rows(part) if config.minibatches > 1 else batch
                self.optimizer.zero_grad()
                self.objective(*mine.tensors(), entropy_weight)[0].backward()
                progress.gradient_norm = nn.utils.clip_grad_norm_(self.parameters, config.clip_norm).item()
                if not math.isfinite(progress.gradient_norm):
                    raise FloatingPointError(
                        f"The gradient's norm is {progress.gradient_norm} at step {progress.step} (seed {config.seed}):"
                        f" lower the learning rate ({config.learning_rate})."
                    )
                self.optimizer.step()

    def _wrapped(self) -> nn.Module:
        """The objective, with its gradients averaged over the processes."""
        objective = PolicyObjective(self.learner, self.config)
        if self.processes.count == 1:
            return objective
        k, device = self.learner.n_classes, self.learner.device
        zeros = torch.zeros(2, 2, device=device)
        actions = torch.zeros(2, 2, k, device=device) if self.learner.continuous_actions else zeros.long()
        shown = torch.zeros(2, 2, self.learner.n_features, device=device), torch.zeros(2, 2, k, device=device)
        return self.processes.wrap(objective, *shown, actions, zeros, zeros, zeros, zeros == 0, zeros[0, 0])


def _check(learner: Any, venv: Any) -> Any:
    """Return the environment if the learner can be trained on it; raises ValueError."""
    if not isinstance(learner, SequenceAgent):
        raise ValueError(
            f"train_from_reward needs a SequenceAgent of gpicl_agents, given {type(learner).__name__}: derive it from "
            "that class, with a module of your own as its layers (docs/training.md, From reward alone)."
        )
    if isinstance(learner, KernelTransformer):
        learner.act_and_value()  # says why not
    if venv.num_envs < 2:
        raise ValueError("num_envs=1 leaves no other episode for the baseline of the returns: give at least 2.")
    if not isinstance(env := venv.unwrapped, InContextVectorEnv):
        return check_rl(learner, venv)
    if learner.continuous_actions:
        raise ValueError(
            f"{learner.name} has continuous_actions=True, but {env_name(venv)} has labels: leave that out."
        )
    if env.action != "label":
        raise ValueError(
            "train_from_reward needs gymnasium.make_vec('GPICL-…', action='label'), not regression: actions are labels."
        )
    if isinstance(learner, BanditAgent) and env.feedback == "label":
        raise ValueError(
            f"{learner.name} learns from rewards and never sees labels: make the environment with feedback='reward'."
        )
    check_fit(learner, env.tasks)
    return venv
