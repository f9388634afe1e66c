"""`gpicl export`: episodes in a file, for training code that is not of this package."""

from pathlib import Path

from gpicl_envs.commands.arguments import Assignments, show
from gpicl_envs.learners.registry import parse_assignments
from gpicl_envs.registration import find_environment


def export(
    out: Path,
    env: str = "GPICL-SyntheticTables-v0",
    env_kwargs: Assignments = (),
    episodes: int = 1000,
    seed: int = 0,
    context: int | None = None,
    batch_size: int = 64,
    device: str = "cpu",
) -> None:
    """Write episodes of an environment to a file, for training code that is not of this package.

    The arrays have the layout of TFM-Playground's dumps of tabular priors: X, y, num_datapoints, num_features,
    single_eval_pos, max_num_classes.

    Example: `gpicl export --env GPICL-SyntheticTables-v0 --env-kwargs n_features=20 --out tables.h5`.

    Args:
        out: a new file that ends in .h5 (needs h5py) or .safetensors.
        env: environment id.
        env_kwargs: arguments that define the tasks, such as length=50 split=test (not action or feedback).
        episodes: how many.
        seed: of the stream of episodes.
        context: examples before those to be predicted (single_eval_pos); half of the length by default.
        batch_size: episodes that are made at once.
        device: cpu or cuda.
    """
    from gpicl_envs.tasks import make_tasks
    from gpicl_envs.tasks.export import write_episodes

    tasks = make_tasks(**find_environment(env).arguments | {"device": device} | parse_assignments(env_kwargs))
    write_episodes(tasks, out, episodes, seed=seed, context=context, batch_size=batch_size)
    show(f"{episodes} episodes of {env} in {out} ({out.stat().st_size / 1e6:.1f} MB).")
