"""Commands in several processes that work together, started as jobs: what tests of distributed training use."""

import os
from dataclasses import dataclass

import torch

from gpicl_envs.cli import main
from gpicl_envs.jobs.job import Outcome


@dataclass(frozen=True)
class RankJob:
    """Runs a command as one of several processes that work together, in an environment as torchrun makes it."""

    rank: int
    processes: int
    port: int
    line: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"process {self.rank}"

    def run(self) -> Outcome:
        numbers = {"RANK": self.rank, "LOCAL_RANK": self.rank, "WORLD_SIZE": self.processes, "MASTER_PORT": self.port}
        os.environ |= {name: str(value) for name, value in numbers.items()} | {"MASTER_ADDR": "127.0.0.1"}
        torch.set_num_threads(1)
        try:
            main(self.line)
        except SystemExit as stop:
            return Outcome(error=f"{self.title} ended with code {stop.code}")
        return Outcome()
