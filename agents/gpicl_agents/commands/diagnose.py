"""`gpicl diagnose`: has a trained agent become a learning algorithm? The three-way diagnosis, with its evidence."""

from typing import Any

import tyro

from gpicl_envs.commands.arguments import Assignments, show
from gpicl_envs.errors import check_integer
from gpicl_envs.learners.registry import make_learner, parse_assignments
from gpicl_envs.registration import find_environment


def diagnose(
    learner: tyro.conf.Positional[str],
    env: str | None = None,
    env_kwargs: Assignments = (),
    episodes: int = 512,
    device: str = "cpu",
) -> None:
    """Find out whether an agent memorised instances, memorised tasks, or learned to learn.

    It is evaluated on the tasks of its meta-training, on new examples of them, on new tasks and on unseen datasets.
    What counts is how much more accuracy it gains within an episode than a learner that only counts labels. Checkpoints
    and pretrained learners record what they were meta-trained on; for any other learner, give --env and --env-kwargs.

    For in-context RL: does it adapt within a problem, on the tasks of its meta-training and on unseen ones? What counts
    is the return of its last episode against the first. With --env CartPole-v1, a policy that was trained on problems
    made of another environment is put on the same kind of problems, made of CartPole.

    Examples: `gpicl diagnose runs/mine`; `gpicl diagnose my_agent:MyAgent --env-kwargs n_tasks=64`; `gpicl diagnose
    thompson-sampling --env GPICL-Bandit-v0`.

    Args:
        learner: run or checkpoint folder, module:Class@folder, pretrained:NAME, module:Class or registered name; with
            an environment of in-context RL, whatever `gpicl evaluate-rl` takes.
        env: environment id of the meta-training; by default what a checkpoint records, otherwise GPICL-MNIST-v0.
        env_kwargs: its arguments, such as n_tasks=64; they override what a checkpoint records.
        episodes: episodes of each evaluation; in in-context RL, problems.
        device: cpu or cuda.
    """
    from gpicl_agents.diagnosis import diagnose_learner, meta_training_kwargs
    from gpicl_agents.policy_diagnosis import diagnose_player, diagnose_policy, problems_of
    from gpicl_envs.rl.players.find import find_player
    from gpicl_envs.rl.wrapped_problems import WrappedProblems

    check_integer("episodes", episodes, 2)
    changes = parse_assignments(env_kwargs)
    made = problems_of(learner, env, changes, device)
    if made is not None:
        if isinstance(made, WrappedProblems):
            agent: Any = make_learner(learner)
            policy = diagnose_policy(agent.to(device), made, problems=episodes)
        else:
            policy = diagnose_player(find_player(learner, made).player, made, problems=episodes)
        show("\n  ".join([f"{policy.player}: {policy.phase}", *policy.reasons]))
        return
    known = meta_training_kwargs(learner, **changes) if env is None else find_environment(env).arguments | changes
    found = diagnose_learner(learner, known, episodes=episodes, device=device)
    for name, reason in found.missing.items():
        show(f"{name} is left out: {reason}")
    show("\n  ".join([f"{found.learner}: {found.phase}", *found.reasons]))
