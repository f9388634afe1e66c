"""`gpicl pull`: a learner from the Hugging Face Hub."""

from pathlib import Path

import tyro

from gpicl_envs.commands.arguments import show


def pull(repo: tyro.conf.Positional[str], out: Path | None = None, learner: str | None = None) -> None:
    """Fetch a learner from the Hugging Face Hub, check it, and keep it for use without a network.

    Only safetensors and JSON are read, and their sha256 is checked; a repository that holds anything else is refused.

    Examples: `gpicl pull user/name`; `gpicl evaluate --learner hf:user/name knn`.

    Args:
        repo: user/name, or user/name@revision with a branch, a tag or a commit.
        out: a new folder for a copy, which is a checkpoint like any other; by default the cache alone.
        learner: the module:Class that was trained, if it is not a registered learner.
    """
    from gpicl_agents.sharing.hub import copy_to
    from gpicl_agents.sharing.hub import pull as pull_files
    from gpicl_agents.training.checkpoint import load_learner

    folder = pull_files(repo)
    made = load_learner(folder, learner=learner)
    if out is not None:
        folder = copy_to(folder, out)
    show(f"{made.name}, {made.n_parameters:,} parameters, D = {made.n_features}, K = {made.n_classes}: {folder}")
    show(f"Use it as {f'hf:{repo}' if out is None else out}.")
