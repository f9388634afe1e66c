"""Episodes in a file, for training code that is not of this package.

Both formats hold the same arrays, in the layout of TFM-Playground's dumps of tabular priors (nanoTabPFN):

| name | | |
|---|---|---|
| `X` | (E, N, D) float32 | inputs |
| `y` | (E, N) float32 | labels 0 … K − 1, or real values |
| `num_datapoints`, `num_features` | (E,) int32 | N and D |
| `single_eval_pos` | (E,) int32 | examples that are context; those after them are to be predicted |
| `task_id` | (E,) int64 | −1 for one-off tasks |
| `max_num_classes` | (1,) int64 | K; left out for real values |

What made them is JSON under the name `gpicl`: an attribute of the HDF5 file, metadata of the safetensors file.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from gpicl_envs import __version__
from gpicl_envs.datasets.files import replacing
from gpicl_envs.errors import check_integer
from gpicl_envs.tasks.base import EpisodeDistribution

Arrays = dict[str, NDArray[Any]]
FORMAT = "gpicl-episodes-1"


def write_episodes(
    tasks: EpisodeDistribution,
    path: str | os.PathLike[str],
    episodes: int,
    *,
    seed: int = 0,
    context: int | None = None,
    batch_size: int = 64,
) -> None:
    """Write episodes 0 … E − 1 of a stream to a file, which appears when it is complete.

    Args:
        tasks: the distribution.
        path: a new file that ends in `.h5` (written in pieces; needs h5py) or `.safetensors` (made in memory).
        episodes: E.
        seed: of the stream.
        context: examples before those to be predicted; N // 2 by default.
        batch_size: episodes that are made at once.

    Raises:
        ValueError: an argument is out of range, the file exists, has another ending, or h5py is not installed.
        OSError: it cannot be written.
    """
    path = Path(path)
    writers: dict[str, Callable[..., None]] = {".h5": _write_h5, ".safetensors": _write_safetensors}
    if path.suffix not in writers:
        raise ValueError(f"{path} has the ending {path.suffix!r}: give a name that ends in {' or '.join(writers)}.")
    if path.exists():
        raise ValueError(f"{path} exists already: give another name, or remove it.")
    check_integer("episodes", episodes, 1)
    context = check_integer("context", tasks.length // 2 if context is None else context, 0, tasks.length - 1)
    facts = {
        "format": FORMAT,
        "version": __version__,
        "env": tasks.env_id,
        "arguments": tasks.arguments,
        "fingerprint": tasks.fingerprint,
        "seed": seed,
    }
    fixed = {} if tasks.is_regression else {"max_num_classes": np.array([tasks.n_classes])}
    pieces = _pieces(tasks, episodes, seed, context, check_integer("batch_size", batch_size, 1))
    with replacing(path) as partial:
        writers[path.suffix](partial, episodes, pieces, fixed, json.dumps(facts))


def _pieces(tasks: EpisodeDistribution, episodes: int, seed: int, context: int, batch_size: int) -> Iterator[Arrays]:
    """The arrays of the episodes, batch by batch."""
    for first in range(0, episodes, batch_size):
        made = tasks.sample(min(batch_size, episodes - first), seed, first)
        count = np.ones(len(made), np.int32)
        yield {
            "X": made.x.cpu().numpy(),
            "y": made.y.float().cpu().numpy(),
            "num_datapoints": tasks.length * count,
            "num_features": tasks.n_features * count,
            "single_eval_pos": context * count,
            "task_id": made.task_id.cpu().numpy(),
        }


def _write_h5(path: Path, episodes: int, pieces: Iterator[Arrays], fixed: Arrays, facts: str) -> None:
    try:
        import h5py
    except ModuleNotFoundError:
        raise ValueError(
            "An .h5 file needs h5py: pip install 'gpicl-envs[export]', or give a name in .safetensors."
        ) from None
    with h5py.File(path, "w") as file:
        file.attrs["gpicl"] = facts
        problem = "classification" if fixed else "regression"
        file.create_dataset("problem_type", data=problem, dtype=h5py.string_dtype())
        for name, value in fixed.items():
            file.create_dataset(name, data=value)
        start = 0
        for piece in pieces:
            for name, value in piece.items():
                if not start:
                    shape, chunks = (episodes, *value.shape[1:]), value.shape
                    file.create_dataset(name, shape, value.dtype, chunks=chunks, compression="lzf")
                file[name][start : start + len(value)] = value
            start += len(piece["y"])
        file.create_dataset("original_batch_size", data=np.array([file["y"].chunks[0]]))


def _write_safetensors(path: Path, episodes: int, pieces: Iterator[Arrays], fixed: Arrays, facts: str) -> None:
    made: list[Arrays] = list(pieces)
    arrays = {name: np.concatenate([piece[name] for piece in made]) for name in made[0]}
    save_file(arrays | fixed, path, metadata={"gpicl": facts})
