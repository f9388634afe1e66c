"""Meta-reinforcement learning: the same sequence models, trained from rewards alone.

Whole episodes are played on the device, by the environment's own rules of reward and feedback. With feedback
`"label"`, what is shown does not depend on the actions, so one parallel pass plays all positions, and the reward of a
position is the return of its action. With feedback `"reward"` (bandit), the agent is shown ± its action, so it
must explore; positions are played one after the other, and returns are discounted sums of the rewards to come.

The gradient is the clipped one of PPO (Schulman et al. 2017, arXiv:1707.06347), or with one epoch the plain policy
gradient (Williams 1992); the baseline of a return is the mean return of the other episodes at the same position. The
true labels enter through the rewards of the actions played, and through what the environment shows, nowhere else.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.functional import one_hot

from gpicl_agents.models.base import SequenceAgent
from gpicl_agents.models.rl2 import BanditAgent
from gpicl_agents.training.checkpoint import Folder
from gpicl_agents.training.config import RewardConfig
from gpicl_agents.training.distributed import process_count
from gpicl_agents.training.interruption import INTERRUPTED, interruptible
from gpicl_agents.training.progress import Progress
from gpicl_agents.training.random_state import seeded
from gpicl_agents.training.run_folder import RunFolder
from gpicl_agents.training.supervised import env_seeds
from gpicl_agents.training.tracking import Tracker
from gpicl_envs.envs.vector_env import InContextVectorEnv
from gpicl_envs.evaluation.metrics import LAST
from gpicl_envs.learners.check import check_fit


@dataclass
class RollOut:
    """B episodes played by a policy.

    Args:
        x: (B, N, D) inputs.
        feedback: (B, N, K) the feedback before each: a one-hot label, or ± the one-hot action; zeros at the first.
        actions: (B, N) labels predicted.
        rewards: (B, N) 1 where right, else 0.
        log_probability: (B, N) of the actions, in nats.
    """

    x: torch.Tensor
    feedback: torch.Tensor
    actions: torch.Tensor
    rewards: torch.Tensor
    log_probability: torch.Tensor


@torch.no_grad()
def roll_out(
    learner: SequenceAgent, env: InContextVectorEnv, number: int | None = None, *, greedy: bool = False
) -> RollOut:
    """Play one whole episode in each environment.

    Args:
        learner: the policy: its logits are those of the actions.
        env: the environment, whose rules give rewards and feedback.
        number: which episode of each environment's stream; by default the next.
        greedy: take the most likely action instead of drawing one from torch's global stream.
    """
    episodes = env.sample_episodes(number)
    x, y = episodes.x, episodes.y

    def act(logits: torch.Tensor) -> torch.Tensor:
        return logits.argmax(-1) if greedy else torch.distributions.Categorical(logits=logits).sample()

    if env.feedback == "label":  # no action changes what is shown
        feedback = torch.zeros(*y.shape, env.tasks.n_classes, device=x.device)
        feedback[:, 1:] = one_hot(y[:, :-1], env.tasks.n_classes).float()
        logits = learner(x, feedback)
        actions = act(logits)
    else:
        state, before = learner.start(len(x)), torch.zeros(len(x), env.tasks.n_classes, device=x.device)
        columns: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        for n in range(x.shape[1]):
            policy, state = learner.forward_step(state, x[:, n], before)
            action = act(policy)
            columns.append((before, policy, action))
            before = env.action_type.feedback_for(action, y[:, n])
        feedback, logits, actions = (torch.stack(column, 1) for column in zip(*columns, strict=True))
    rewards = env.action_type.reward(actions.flatten(), y.flatten()).view(y.shape)
    chosen = logits.log_softmax(2).gather(2, actions[..., None])[..., 0]
    return RollOut(x, feedback, actions, rewards, chosen)


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
    """Meta-train a sequence model from rewards alone, on whole episodes.

    A run that was killed and resumed ends with the same weights (on one device, with as many threads). SIGINT (Ctrl-C)
    or SIGTERM stops after the step, with a checkpoint; a second one stops at once.

    Args:
        learner: a `SequenceAgent` on the environment's device. To learn from bandit feedback in `evaluate` too, where
            other learners see labels, take an `RL2` or `RL2Transformer`.
        venv: `gymnasium.make_vec("GPICL-MNIST-v0", num_envs=64, feedback="label" or "reward")`, `action="label"`.
        config: how to train.
        folder: for checkpoints and `metrics.jsonl`; without it, nothing is written.
        resume: continue from the folder's newest checkpoint, if it has one.
        report: called after every step; `Progress.loss` is minus the mean reward.
        trackers: objects that take the numbers of `metrics.jsonl` too, beside those named by `config.trackers`.

    Raises:
        ValueError: the learner or the environment does not fit, the folder is in use, it holds a run and `resume` is
            not set, or a tracker cannot begin.
        FloatingPointError: the gradient is not finite; the last checkpoint is kept.
        OSError: metrics or a checkpoint cannot be written; the last checkpoint is kept.
        KeyboardInterrupt: a signal stopped the training.
    """
    config = config or RewardConfig()
    env = _check(learner, venv)
    parameters = [p for p in learner.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0, fused=True)
    fixed = {"batch_size": env.num_envs, "seed": config.seed, "trained on": "rewards", "feedback": env.feedback}
    run = RunFolder(folder, config, learner, env.tasks, fixed, trackers=trackers)
    try:
        with seeded(config.seed), interruptible() as interrupted, closing(run):
            progress = Progress(run.begin(optimizer, resume).get("step", 0))
            env.reset(seed=env_seeds(config.seed, env.num_envs))
            learner.train()
            while progress.step < config.steps and not progress.stopped:
                _step(learner, optimizer, env, config, progress)
                values = {"reward": -progress.loss, "accuracy": progress.accuracy}
                run.log(progress.step, **values, learning_rate=progress.learning_rate)
                progress.stopped = INTERRUPTED if interrupted.is_set() else ""
                is_due = config.checkpoint_every > 0 and progress.step % config.checkpoint_every == 0
                if is_due or progress.step == config.steps or progress.stopped:
                    run.save(optimizer, {"step": progress.step})
                if report is not None:
                    report(progress)
            run.finished = progress.step == config.steps
    finally:
        learner.eval()
    return progress


def _step(
    learner: SequenceAgent,
    optimizer: torch.optim.Optimizer,
    env: InContextVectorEnv,
    config: RewardConfig,
    progress: Progress,
) -> None:
    """Play an episode in each environment, and learn from it."""
    progress.learning_rate = config.learning_rate_at(progress.step)
    played = roll_out(learner, env, progress.step)
    _update(learner, optimizer, played, config, progress, config.discount if env.feedback == "reward" else 0.0)
    progress.step += 1
    progress.loss, progress.accuracy = -played.rewards.mean().item(), played.rewards[:, -LAST:].mean().item()


def _update(
    learner: SequenceAgent,
    optimizer: torch.optim.Optimizer,
    played: RollOut,
    config: RewardConfig,
    progress: Progress,
    discount: float,
) -> None:
    """Take one optimizer step per epoch on a roll-out."""
    for group in optimizer.param_groups:
        group["lr"] = progress.learning_rate
    advantages = _advantages(played.rewards, discount)
    for _ in range(config.epochs):
        objective = _objective(learner, played, advantages, config, 1.0 - progress.step / config.steps)
        optimizer.zero_grad()
        (-objective).backward()
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        progress.gradient_norm = nn.utils.clip_grad_norm_(parameters, config.clip_norm).item()
        if not math.isfinite(progress.gradient_norm):
            raise FloatingPointError(
                f"The gradient's norm is {progress.gradient_norm} at step {progress.step} (seed {config.seed}):"
                f" lower the learning rate ({config.learning_rate})."
            )
        optimizer.step()


def returns(rewards: torch.Tensor, discount: float) -> torch.Tensor:
    """(B, N) rewards → Σ_{m ≥ n} γ^{m−n} r_m."""
    found, after = [], torch.zeros_like(rewards[:, 0])
    for reward in rewards.unbind(1)[::-1]:
        after = reward + discount * after
        found.append(after)
    return torch.stack(found[::-1], 1)


def _advantages(rewards: torch.Tensor, discount: float) -> torch.Tensor:
    """(B, N) returns minus the mean of the other episodes' at the same position, over the std of them all."""
    gained = returns(rewards, discount)
    advantages = (gained - gained.mean(0)) * len(gained) / (len(gained) - 1)
    return advantages / (advantages.std() + 1e-6)


def _objective(
    learner: SequenceAgent, played: RollOut, advantages: torch.Tensor, config: RewardConfig, left: float
) -> torch.Tensor:
    """PPO's clipped objective (equation 7), and the entropy, weighted."""
    log_policy = learner(played.x, played.feedback).log_softmax(2)
    ratio = (log_policy.gather(2, played.actions[..., None])[..., 0] - played.log_probability).exp()
    clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
    gain = torch.minimum(ratio * advantages, clipped * advantages).mean()
    entropy = -(log_policy.exp() * log_policy).sum(2).mean()
    return gain + config.entropy * left * entropy


def _check(learner: Any, venv: Any) -> InContextVectorEnv:
    env = venv.unwrapped
    if process_count() > 1:
        raise ValueError("Training from rewards takes one process: run it without `accelerate launch`.")
    if not isinstance(learner, SequenceAgent):
        raise ValueError(
            f"train_from_reward needs a SequenceAgent of gpicl_agents, given {type(learner).__name__}: derive it from "
            "that class, with a module of your own as its layers (docs/training.md, From reward alone)."
        )
    if not isinstance(env, InContextVectorEnv) or env.action != "label":
        raise ValueError(
            "train_from_reward needs gymnasium.make_vec('GPICL-…', action='label'), not regression: actions are labels."
        )
    if isinstance(learner, BanditAgent) and env.feedback == "label":
        raise ValueError(
            f"{learner.name} learns from rewards and never sees labels: make the environment with feedback='reward'."
        )
    if env.num_envs < 2:
        raise ValueError("num_envs=1 leaves no other episode for the baseline of the returns: give at least 2.")
    check_fit(learner, env.tasks)
    return env
