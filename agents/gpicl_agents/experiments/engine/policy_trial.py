"""`PolicyTrial`: meta-train a policy from rewards on a projected environment, and put it on others."""

from dataclasses import dataclass, replace
from typing import Any

from gpicl_agents.evaluations import SEED
from gpicl_agents.experiments.engine.projected import HORIZON, projected, summarize_policy
from gpicl_agents.experiments.engine.trial import Training, Trial, TrialRecord
from gpicl_agents.training.config import RewardConfig
from gpicl_agents.training.reinforce import train_from_reward
from gpicl_agents.training.rl_problems import POLICY, policy_sizes
from gpicl_envs.learners.base import evaluating
from gpicl_envs.learners.registry import LearnerSpec


@dataclass(frozen=True)
class PolicyTrial(Trial):
    """A trial whose `env_kwargs` are `env` and `n_projections` of `projected`, and `train_kwargs` of `RewardConfig`.

    The `env_kwargs` of its evaluations are the `env`, and `n_projections`, if it is that of meta-training.
    """


def run_policy_trial(job: Any) -> TrialRecord:
    """Return the record of a `TrialJob` of a `PolicyTrial`: meta-train, resuming if possible, and evaluate."""
    trial = job.trial
    venv = projected(number=trial.batch_size, **trial.env_kwargs)
    seed = trial.axes.get("seed", 0)
    policy = LearnerSpec.parse(trial.learner, **trial.learner_kwargs).make_for(
        policy_sizes(venv), **POLICY | {"seed": seed}
    )
    with evaluating(policy):
        state_size = policy.state_size(HORIZON)
    record = job.record(learner=policy.name, n_parameters=policy.n_parameters, state_size=state_size)
    if trial.train_kwargs is not None:
        config = RewardConfig(**trial.train_kwargs)
        progress = train_from_reward(policy, venv, config, folder=job.folder, resume=True)
        training = Training(steps=progress.step, seconds=round(progress.seconds, 1))
        record = replace(record, training=training)
    with evaluating(policy):
        results = {
            one.name: summarize_policy(
                policy, problems=one.episodes, seed=SEED, **{"n_projections": None} | one.env_kwargs
            )
            for one in trial.evaluations
        }
    return replace(record, results=results)
