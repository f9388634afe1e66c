"""Commands that are killed at random moments and resumed, by SIGKILL, SIGTERM and SIGINT in turn, as a script.

`python tests/kills.py COMMAND FOLDER` prints what happened as JSON; `tests/test_kills.py` runs it. The process imports
what the commands need, with one thread, and forks every run, so that ten kills do not cost ten imports. A forked run
handles signals and starts processes as one that a user starts.
"""

import atexit
import json
import os
import random
import shutil
import signal
import sys
import threading
import time
import traceback
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
import vision_files
from tiny_experiment import tiny_module

from gpicl_agents.experiments.engine.trial import SCHEMA, TrialRecord
from gpicl_agents.training.checkpoint import find_checkpoint
from gpicl_envs.cli import main
from gpicl_envs.datasets.cache import sha256_of
from gpicl_envs.evaluation.jsonl import read_jsonl
from gpicl_envs.evaluation.records import read_records
from gpicl_envs.suites import definitions

KILLS = 10
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
MARK = "GPICL_KILLS"  # a variable of the environment by which processes that a run left are found
DIGITS = "--env GPICL-Digits-v0 --env-kwargs length=10 n_features=32"
LINES = {
    "quickstart": "quickstart --scale 0.02 --episodes 4 --out {out}",
    "experiment": "experiment tiny --workers 1 --out {out}",
    "benchmark": "benchmark --suite small --learners knn ridge majority --workers 1 --out {out}",
    "train": f"train tiny {DIGITS} --steps 100 --checkpoint-every 9 --evaluate-every 25 --resume --out {{out}}",
    "train-rl": f"train-rl --learner gru,width=8,input_rank=4 {DIGITS} --batch-size 4 --steps 100 --checkpoint-every 9"
    " --resume --out {out}",
    "train-rl-problem": "train-rl bandit --batch-size 8 --env-kwargs length=20 --steps 60 --evaluate-every 7"
    " --evaluate-problems 20 --checkpoint-every 9 --resume --out {out}",
    "train-rl-wrapped": "train-rl --env Pendulum-v1 --env-kwargs max_episode_steps=10 --trials 2 --project 8"
    " --n-projections 4 --learner gru,width=8 --batch-size 4 --steps 60 --evaluate-every 7 --evaluate-problems 20"
    " --checkpoint-every 9 --resume --out {out}",
    "data": "data download USPS",
}


def prepare(folder: Path) -> None:
    """Make what the commands need: a tiny experiment and suite, and a slow server with small files of USPS."""
    import gpicl_agents.experiments.engine.experiment as experiments

    experiments.NAMES = ("tiny",)
    sys.modules["gpicl_agents.experiments.tiny"] = tiny_module()
    cells = [definitions.Cell(name, f"GPICL-{name}-v0", "unseen-task", 30, 64, 5) for name in ("Digits", "Clusters")]
    definitions.SUITES["small"] = definitions.Suite("small", "for tests", tuple(cells))
    patch = pytest.MonkeyPatch()
    vision_files.write("USPS", folder / "there", patch)
    server = ThreadingHTTPServer(("127.0.0.1", 0), SlowHandler)
    server.files = {path.name: path.read_bytes() for path in (folder / "there").rglob("*") if path.is_file()}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    from torchvision.datasets import USPS

    there = f"http://127.0.0.1:{server.server_port}/"
    patch.setattr(USPS, "split_list", {split: [there + n, n, md5] for split, (_, n, md5) in USPS.split_list.items()})


class SlowHandler(BaseHTTPRequestHandler):
    """Takes half a second for a file."""

    def do_GET(self) -> None:
        content = self.server.files[self.path[1:]]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        for i in range(10):
            self.wfile.write(content[i * len(content) // 10 : (i + 1) * len(content) // 10])
            self.wfile.flush()
            time.sleep(0.05)

    def log_message(self, *arguments: object) -> None:
        pass


def started(command: str, out: Path, log: Path) -> int:
    """Start a command in a process of its own, and return the number of that."""
    if process := os.fork():
        return process
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ |= {MARK: str(out), "GPICL_DATA_DIR": str(out), "GPICL_CACHE_DIR": str(out.parent / "cache")}
        output = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(output, 1), os.dup2(output, 2)
        main(LINES[command].format(out=out).split())
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
    atexit._run_exitfuncs()
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(code)


def end_of(process: int) -> int:
    """Wait, and return the exit code; −9 for one that was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def left_over(out: Path) -> int:
    """Wait up to 30 seconds for the processes that a run started to end, and return how many have not."""
    mark, deadline = f"{MARK}={out}".encode(), time.monotonic() + 30
    while True:
        found = 0
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                found += mark in path.read_bytes().split(b"\0")
            except OSError:  # it has ended, or is somebody else's
                pass
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def result(command: str, out: Path) -> Any:
    """All that a run leaves, without dates, times and machines, in a form to compare."""
    if command == "data":
        return {path.name: sha256_of(path) for path in out.rglob("*") if path.is_file() and path.name[0] != "."}
    if command.startswith("train"):
        lines = [json.loads(line) | {"seconds": 0} for line in (out / "metrics.jsonl").read_text().splitlines()]
        return [sha256_of(find_checkpoint(out) / "model.safetensors"), lines]
    if command == "experiment":
        records = [asdict(record) for record in read_jsonl(out / "records.jsonl", TrialRecord, SCHEMA)]
        for record in records:
            record["training"]["seconds"] = 0
    else:
        records = [asdict(record) | {"wall_seconds": 0} for record in read_records(out / "records.jsonl")]
    records = sorted(json.dumps(record | {"provenance": None}, sort_keys=True) for record in records)
    if command != "quickstart":
        return records
    return [records, *(result("train", out / name) for name in ("similarity", "fast"))]


def faults(command: str, out: Path, number: int, end: int, log: Path) -> list[str]:
    """What a run that was stopped did wrong: as it ended, in what it printed and left."""
    found = []
    if end != (-signal.SIGKILL if number == signal.SIGKILL else 130):
        found.append(f"ended with {end} after signal {number}: {log.read_text()[-2000:]}")
    if number != signal.SIGKILL and "Traceback" in log.read_text():
        found.append(f"a traceback after signal {number}: {log.read_text()[-2000:]}")
    if processes := left_over(out):
        found.append(f"{processes} processes left after signal {number}")
    for path in out.rglob("*.jsonl"):
        *whole, rest = path.read_text().split("\n")
        for line in whole:
            json.loads(line)
        if rest and number != signal.SIGKILL:
            found.append(f"half a line in {path} after signal {number}")
    if number != signal.SIGKILL and (names := [str(path) for path in out.rglob("*partial*")]):
        found.append(f"temporary files after signal {number}: {names}")
    return found


def kill_and_resume(command: str, folder: Path, moments: random.Random) -> dict[str, Any]:
    """Run a command whole, then kill it ten times, let it end, and compare; the report counts and names faults."""
    log, whole, out = folder / "log.txt", folder / "whole", folder / "killed"
    start = time.monotonic()
    if end_of(started(command, whole, log)) != 0:
        raise RuntimeError(log.read_text())
    duration, expected = time.monotonic() - start, result(command, whole)
    kills, found, slowest, resumed, equal = 0, [], 0.0, 0, True

    def finish() -> bool:
        if end_of(started(command, out, log)) != 0:
            found.append(f"could not be resumed: {log.read_text()[-2000:]}")
            return False
        same = result(command, out) == expected
        shutil.rmtree(out)
        return same

    while kills < KILLS:
        number = SIGNALS[kills % len(SIGNALS)]
        process = started(command, out, log)
        time.sleep(moments.uniform(0.02, duration))
        done, _ = os.waitpid(process, os.WNOHANG)
        if done:  # it was faster than the signal
            resumed, equal = resumed + 1, finish() and equal
            continue
        signalled = time.monotonic()
        os.kill(process, number)
        end = end_of(process)
        if end == 0:  # the signal came after the last line
            continue
        kills, slowest = kills + 1, max(slowest, time.monotonic() - signalled)
        found += faults(command, out, number, end, log)
        print(f"{kills}: signal {number}, ended with {end}", found[-1:], file=sys.stderr, flush=True)
    resumed, equal = resumed + 1, finish() and equal
    return {"kills": kills, "faults": found, "slowest stop": slowest, "finished runs": resumed, "equal": equal}


if __name__ == "__main__":
    torch.set_num_threads(1)
    name, place = sys.argv[1], Path(sys.argv[2])
    prepare(place)
    print(json.dumps(kill_and_resume(name, place, random.Random(int(sys.argv[3])))))
