#!/usr/bin/env bash
# All that needs a GPU, in one call under ten minutes: GPU tests, throughput, meta-training. Writes JSON and checkpoints.
#   benchmarks/gpu.sh OUTPUT_FOLDER      (python3 with torch and this package installed: commands are entry points)
# Not run on a GPU yet. Its results belong under benchmarks/results/, with the machine's name.
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD:$PWD/agents:$PWD/baselines:${PYTHONPATH:-}" PYTHONUNBUFFERED=1
export GPICL_RESULTS="${1:?usage: benchmarks/gpu.sh OUTPUT_FOLDER}"
mkdir -p "$GPICL_RESULTS"
python3 -c 'import importlib.metadata as m; m.version("gpicl-envs")' || { echo "First: pip install --no-deps ."; exit 2; }
timeout 90 python3 -m pytest -m gpu -p no:cacheprovider tests || echo "GPU TESTS FAILED"
timeout 60 python3 benchmarks/env_throughput.py --device cuda || echo "THROUGHPUT FAILED"
timeout 120 python3 benchmarks/training.py --device cuda --precision bf16 --compile-mode default --seconds 4 || echo "TRAINING FAILED"
timeout 60 python3 benchmarks/stepping.py --device cuda || echo "STEPPING FAILED"
train() { timeout 130 python3 -m gpicl_envs.cli train "$@" --device cuda --max-seconds 90 --evaluate-every 100; }
train kernel --batch-size 128 --steps 20000 --out "$GPICL_RESULTS/kernel" || echo "META-TRAINING FAILED"
train fast --batch-size 256 --steps 20000 --precision bf16 --out "$GPICL_RESULTS/fast" || echo "META-TRAINING FAILED"
