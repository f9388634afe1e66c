#!/usr/bin/env bash
# All that needs a GPU, in one call under ten minutes: tests, throughput, meta-training. Writes JSON, logs, checkpoints.
#   benchmarks/gpu.sh OUTPUT_FOLDER [PART …]     PART: tests throughput stepping training scale best; all but best by default
# Needs python3 with torch, pytest-xdist and this package installed (commands and learners are entry points).
set -uo pipefail
cd "$(dirname "$0")/.."
out="${1:?usage: benchmarks/gpu.sh OUTPUT_FOLDER [PART …]}"
mkdir -p "$out" && out="$(cd "$out" && pwd)"
shift
export PYTHONPATH="$PWD:$PWD/agents:$PWD/baselines:${PYTHONPATH:-}" PYTHONUNBUFFERED=1 GPICL_RESULTS="$out"
python3 -c 'import importlib.metadata as m; m.version("gpicl-envs")' || { echo "First: pip install --no-deps ."; exit 2; }

tests() { timeout 90 python3 -m pytest -m gpu -n 12 -p no:cacheprovider tests > "$out/tests.log" 2>&1; tail -n 1 "$out/tests.log"; }
throughput() { timeout 60 python3 benchmarks/env_throughput.py --device cuda; }
stepping() { timeout 60 python3 benchmarks/stepping.py --device cuda; }
training() {
    timeout 75 python3 benchmarks/training.py --device cuda --precision bf16 --agent-batch 256 --seconds 1.5
    GPICL_RESULTS="$out/compiled" timeout 90 python3 benchmarks/training.py --device cuda --precision bf16 \
        --agent-batch 256 --compile-mode reduce-overhead --seconds 1.5 --agents
}
# The presets and two larger models, at once: each is bound by the host that launches its kernels.
scale() {
    train fast fast --batch-size 256 --precision bf16 --compile-mode default
    train wide fast --batch-size 256 --precision bf16 --compile-mode default --learning-rate 2e-3 \
        --learner-kwargs width=384 n_layers=3 n_heads=4 mlp_width=768 input_rank=96 n_projections=8
    train wide-input fast --batch-size 256 --precision bf16 --compile-mode default --learning-rate 2e-3 \
        --learner-kwargs width=384 n_layers=3 n_heads=4 mlp_width=768 input_rank=196 n_projections=4
    train kernel kernel --batch-size 128
    wait
    for run in "$out"/runs/*/; do tail -n 3 "$run/log"; done
    evaluate
}
# One model alone, for longer.
best() {
    train best fast --batch-size 256 --precision bf16 --compile-mode reduce-overhead --learning-rate 2e-3 \
        --learner-kwargs width=384 n_layers=3 n_heads=4 mlp_width=768 input_rank=96 n_projections=8
    wait
    tail -n 3 "$out/runs/best/log"
    evaluate
}
evaluate() { timeout 120 python3 benchmarks/best_learner.py "$out"/runs/*/run --device cuda --episodes 1024; }
train() { # NAME PRESET OPTION…
    mkdir -p "$out/runs/$1"
    timeout 230 python3 -m gpicl_envs.cli train "$2" --device cuda --steps 100000 --warmup-steps 300 --evaluate-every 500 \
        --evaluate-episodes 256 --max-seconds "${GPICL_SCALE_SECONDS:-150}" --out "$out/runs/$1/run" "${@:3}" > "$out/runs/$1/log" 2>&1 &
}

[ $# -gt 0 ] || set -- tests throughput stepping training scale
for part; do
    echo "== $part"
    "$part" || echo "FAILED: $part"
done
