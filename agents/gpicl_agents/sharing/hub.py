"""Learners on the Hugging Face Hub: `push_to_hub`, `from_pretrained`, and the scheme `hf:USER/NAME[@REVISION]`.

A repository holds a checkpoint without the trainer's part: `model.safetensors`, `config.json` with its sha256, and a
model card. One with any other file is refused before anything is downloaded, since a folder with code in it is not
trusted at all. What was pulled once stays in the cache of huggingface_hub, and is used when the hub cannot be reached.
"""

import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gpicl_agents.sharing.model_card import card_of_run
from gpicl_agents.training.checkpoint import (
    CARD,
    CONFIG,
    EXTRA,
    MODEL,
    ON_A_HUB,
    Folder,
    find_checkpoint,
    load_learner,
    read_config,
    write_config,
)
from gpicl_envs.errors import check_integer, first_line, shareable, shortened
from gpicl_envs.learners.base import Learner

LARGEST = {CONFIG: 1 << 20, MODEL: 1 << 31}  # bytes that are downloaded
README = ON_A_HUB[0]
ALLOWED = (*LARGEST, *ON_A_HUB)


def from_pretrained(repo: str, *, revision: str | None = None, learner: str | None = None) -> Learner:
    """Return a learner from the Hugging Face Hub, ready to predict; no code from there is run.

    Args:
        repo: `"user/name"`, or `"user/name@revision"`.
        revision: a branch, tag or commit; the newest by default.
        learner: the `module:Class` that was trained, if it is not a registered learner.

    Raises:
        ValueError: it cannot be pulled, or is not a checkpoint of this package; the message says why.
    """
    return load_learner(pull(repo, revision=revision), learner=learner)


def pull(repo: str, *, revision: str | None = None) -> Path:
    """Download a learner's files into the cache of huggingface_hub, unless they are there, and return their folder.

    Raises:
        ValueError: as `from_pretrained`, apart from what `load_learner` finds.
    """
    hub = _require_hub()
    name, _, given = repo.partition("@")
    repo, revision = _check_name(name), revision or given or None
    with _quiet(hub):
        folder = Path(_download(hub, repo, revision))
    _check_files(repo, {path.name: path.stat().st_size for path in folder.iterdir()})
    return folder


def copy_to(folder: Path, out: Folder) -> Path:
    """Copy the files of a pulled learner to a new folder, which is then a checkpoint like any other."""
    out = Path(out)
    if out.exists():
        raise ValueError(f"{out} exists already: give a new folder.")
    partial = out.with_name(f".partial-{out.name}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for name in (*LARGEST, README):
            if (folder / name).is_file():
                shutil.copyfile(folder / name, partial / (CARD if name == README else name))
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return out


def push_to_hub(
    run: Folder, repo: str, *, private: bool = False, learner: str | None = None, episodes: int = 256
) -> str:
    """Put the newest weights of a run on the Hugging Face Hub, with a model card, and return their address.

    Args:
        run: a run folder, or a checkpoint.
        repo: `"user/name"`; made if it does not exist.
        private: whether a new repository is private.
        learner: the `module:Class` that was trained, if it is not a registered learner.
        episodes: on unseen tasks, for the scores of the card; 0 for none.

    Raises:
        ValueError: the checkpoint cannot be loaded or pushed, or the hub does not take it.
    """
    hub, repo = _require_hub(), _check_name(repo)
    check_integer("episodes", episodes, 0)
    checkpoint = find_checkpoint(run)
    made = load_learner(checkpoint, learner=learner)
    config = read_config(checkpoint)
    if EXTRA in config["sha256"]:
        raise ValueError(f"{checkpoint / EXTRA} is part of this learner, but only safetensors and JSON are shared.")
    card = card_of_run(checkpoint, repo, made, episodes)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copyfile(checkpoint / MODEL, folder / MODEL)
        shared = _shareable(config) | {"sha256": {MODEL: config["sha256"][MODEL]}}
        write_config(folder, shared)
        (folder / README).write_text(card, encoding="utf-8")
        load_learner(folder, learner=learner)
        with _quiet(hub), _one_line_errors(hub, repo, None):
            api = _api(hub)
            api.create_repo(repo, private=private, exist_ok=True)
            api.upload_folder(
                repo_id=repo, folder_path=folder, commit_message=f"{made.name}, step {config.get('step')}"
            )
    return f"{api.endpoint}/{repo}"


def _download(hub: Any, repo: str, revision: str | None) -> str:
    """The folder with the files, from the hub or, if that cannot be reached, from the cache."""
    get = {"repo_id": repo, "revision": revision, "allow_patterns": [*LARGEST, README], "endpoint": _endpoint()}
    with _one_line_errors(hub, repo, revision):
        try:
            info = _api(hub).model_info(repo, revision=revision, files_metadata=True)
        except (hub.errors.RepositoryNotFoundError, hub.errors.RevisionNotFoundError):
            raise
        except Exception as error:  # of the network, of many kinds
            try:
                return hub.snapshot_download(local_files_only=True, **get)
            except Exception:
                raise ValueError(
                    f"{repo} is not in the cache, and {_api(hub).endpoint} cannot be reached "
                    f"({first_line(error)}): try again with a network connection."
                ) from None
        _check_files(repo, {file.rfilename: file.size for file in info.siblings or ()})
        return hub.snapshot_download(**get)


def _check_files(repo: str, sizes: dict[str, int | None]) -> None:
    """Refuse a repository that holds more than a learner, or less."""
    if foreign := sorted(name for name in sizes if name not in ALLOWED):
        raise ValueError(
            f"{repo} holds {shortened(foreign[0])}, which is not part of a shared learner ({', '.join(ALLOWED)}): "
            "nothing of it is read."
        )
    if missing := [name for name in LARGEST if name not in sizes]:
        raise ValueError(f"{repo} holds no {missing[0]}: it is not a learner that `gpicl push` has shared.")
    for name, most in LARGEST.items():
        if (sizes[name] or 0) > most:
            raise ValueError(f"{repo}: {name} has {sizes[name]:,} bytes, above {most:,}: nothing of it is read.")


def _check_name(repo: str) -> str:
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", repo):
        raise ValueError(f"{shortened(repo)} is not the name of a repository: give USER/NAME.")
    return repo


def _shareable(value: Any) -> Any:
    """A config without secrets and the home folder's path in its texts."""
    if isinstance(value, dict):
        return {name: _shareable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_shareable(item) for item in value)
    return shareable(value) if isinstance(value, str) else value


def _require_hub() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError:
        raise ValueError(
            "The Hugging Face Hub needs the package huggingface_hub: pip install 'gpicl-envs[hub]'."
        ) from None
    return huggingface_hub


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _api(hub: Any) -> Any:
    return hub.HfApi(endpoint=_endpoint(), library_name="gpicl-envs")


@contextmanager
def _one_line_errors(hub: Any, repo: str, revision: str | None) -> Iterator[None]:
    """Within, whatever huggingface_hub raises becomes a ValueError that says what to do."""
    errors = hub.errors
    try:
        yield
    except errors.RevisionNotFoundError:
        raise ValueError(f"{repo} has no revision {revision!r}: give a branch, a tag or a commit of it.") from None
    except errors.RepositoryNotFoundError:
        raise ValueError(
            f"There is no {repo} at {_api(hub).endpoint}, or it is private: check the name, or log in "
            "(`hf auth login`, or HF_TOKEN)."
        ) from None
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "?")
        hint = "log in (`hf auth login`, or HF_TOKEN)" if status in (401, 403) else "try again later"
        raise ValueError(f"{repo}: {_api(hub).endpoint} answered {status} ({first_line(error)}): {hint}.") from None
    except (ValueError, KeyboardInterrupt):
        raise
    except Exception as error:  # of the network and the disk, of many kinds
        raise ValueError(
            f"{repo}: the transfer was interrupted ({first_line(error)}): run it again. Files that arrived "
            "whole are kept."
        ) from None


@contextmanager
def _quiet(hub: Any) -> Iterator[None]:
    """Within, no lines of logs, and progress bars only on a terminal."""
    bars_are_off, level = hub.utils.are_progress_bars_disabled(), logging.root.manager.disable
    logging.disable(logging.WARNING)
    if not sys.stderr.isatty():
        hub.utils.disable_progress_bars()
    try:
        yield
    finally:
        logging.disable(level)
        if not bars_are_off:
            hub.utils.enable_progress_bars()
