#!/usr/bin/env bash
# All that needs a GPU, in one call under ten minutes: GPU tests, throughput, meta-training. Writes JSON and checkpoints.
#   benchmarks/gpu.sh OUTPUT_FOLDER      (python3 with torch, and the packages of pyproject.toml, on the path)
# Not run yet: no GPU was lent so far. Its results belong under benchmarks/results/, with the machine's name.
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD:$PWD/agents:$PWD/baselines:${PYTHONPATH:-}" PYTHONUNBUFFERED=1
export GPICL_RESULTS="${1:?usage: benchmarks/gpu.sh OUTPUT_FOLDER}"
mkdir -p "$GPICL_RESULTS"
timeout 120 python3 -m pytest -m gpu -p no:cacheprovider tests || echo "GPU TESTS FAILED"
timeout 120 python3 benchmarks/env_throughput.py --device cuda
timeout 300 python3 -m gpicl_envs.cli quickstart --device cuda --out "$GPICL_RESULTS/quickstart"
