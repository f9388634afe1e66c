"""What a benchmark result is kept with: the machine, the versions, the date."""

import json
import os
import platform
from datetime import date
from pathlib import Path
from typing import Any

import torch

from gpicl_envs.evaluation.intervals import Interval
from gpicl_envs.evaluation.provenance import package_versions, source_commit


def describe_machine() -> dict[str, Any]:
    """Return the processor, cores, threads, GPU and versions."""
    cpuinfo = Path("/proc/cpuinfo")
    models = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": package_versions(),
        "commit": source_commit(),
        "date": date.today().isoformat(),
    }


def write_result(script: Path, result: dict[str, Any]) -> None:
    """Write results/SCRIPT.json (or under $GPICL_RESULTS) beside the machine it was measured on."""
    folder = Path(os.environ.get("GPICL_RESULTS", script.parent / "results"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{script.stem}.json"
    path.write_text(json.dumps({"machine": describe_machine(), **result}, indent=1) + "\n")
    print(f"wrote {path}")


def rounded(interval: Interval) -> list[float]:
    """An interval as results have it: [mean, low, high]."""
    return [round(float(value), 2) for value in interval]
