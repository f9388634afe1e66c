"""Evaluation protocols: what is new to a meta-trained learner in the episodes on which it is evaluated."""

from typing import Any

from gpicl_envs.errors import check_choice

SEEN_TASK, UNSEEN_TASK, UNSEEN_DATASET = "seen-task", "unseen-task", "unseen-dataset"
PROTOCOLS = {
    SEEN_TASK: "tasks of meta-training",
    UNSEEN_TASK: "new tasks, test images",
    UNSEEN_DATASET: "a dataset never seen",
}


def find_protocol(protocol: str | None, tasks: Any) -> str:
    """Return the protocol of an evaluation on a distribution of episodes.

    Args:
        protocol: one of `PROTOCOLS`; by default the one that fits the tasks.
        tasks: an `EpisodeDistribution`.

    Raises:
        ValueError: the protocol needs tasks that meta-training never shows, but it may show these.
    """
    parts = getattr(tasks, "components", (tasks,))  # of a mixture
    n_tasks = next((part.n_tasks for part in parts if part.n_tasks is not None), None)
    if protocol is None:
        return UNSEEN_TASK if tasks.split == "test" and n_tasks is None else SEEN_TASK
    check_choice("protocol", protocol, tuple(PROTOCOLS))
    if protocol != SEEN_TASK and n_tasks is not None:
        raise ValueError(
            f"protocol={protocol!r} needs new tasks, but n_tasks={n_tasks} names those of meta-training: give "
            f"protocol={SEEN_TASK!r}, or leave n_tasks out."
        )
    if protocol != SEEN_TASK and tasks.split != "test":
        raise ValueError(
            f"protocol={protocol!r} needs examples that meta-training never shows, but these tasks show its own "
            f"(split='train'): make them with split='test', or give protocol={SEEN_TASK!r}."
        )
    return protocol
