"""`gpicl push`: a run's newest weights on the Hugging Face Hub."""

from pathlib import Path

import tyro

from gpicl_envs.commands.arguments import show


def push(
    run: tyro.conf.Positional[Path],
    repo: tyro.conf.Positional[str],
    private: bool = False,
    learner: str | None = None,
    episodes: int = 256,
) -> None:
    """Share the newest weights of a run on the Hugging Face Hub, with a model card.

    Log in before (`hf auth login`, or the variable HF_TOKEN). Others then use the learner as hf:USER/NAME.

    Example: `gpicl push runs/mine user/name`.

    Args:
        run: run folder or checkpoint.
        repo: user/name; made if it does not exist.
        private: make a new repository private.
        learner: the module:Class that was trained, if it is not a registered learner.
        episodes: on unseen tasks, for the scores of the card; 0 for none.
    """
    from gpicl_agents.sharing.hub import push_to_hub

    address = push_to_hub(run, repo, private=private, learner=learner, episodes=episodes)
    show(f"{run} is at {address}: use it as hf:{repo}.")
