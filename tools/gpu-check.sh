#!/bin/sh
# Everything that only a GPU can show, in under 9 minutes, with the python3 that is there and no network.
# Leaves in $OUT: gpu-check.log, runs.tar.gz (the result folders), profile.json.gz (a trace), quick.html and standard.html.
set -u
cd "$(dirname "$0")/.."
OUT=${OUT:-gpu-check}
PYTHON=${PYTHON:-python3}
mkdir -p "$OUT" || exit 2
OUT=$(cd "$OUT" && pwd)
RESULTS=$(mktemp -d)
failed=0

stage() { # stage SECONDS NAME COMMAND…: a stage that is out of time is interrupted, and keeps what it has stored
    seconds=$1 name=$2
    shift 2
    echo "== $name"
    timeout --signal=INT --kill-after=20 "$seconds" "$@" || { echo "== $name: exit status $?"; failed=1; }
}

all() {
    stage 60 "GPU tests" "$PYTHON" tools/gpu_check.py
    stage 40 "harness ratio" env PYTHONPATH=. "$PYTHON" tests/bench/harness_cost.py cuda
    stage 140 "quick" "$PYTHON" -m hwbench run --device cuda --suite quick --processes 2 --output "$RESULTS" --run-id quick
    stage 190 "standard" "$PYTHON" -m hwbench run --device cuda --suite standard --processes 1 --max-time 5 \
        --output "$RESULTS" --run-id standard
    stage 70 "profile" "$PYTHON" -m hwbench profile gpt/train --device cuda --max-time 2 --output "$RESULTS" \
        --trace "$OUT/profile.json.gz"
    for run in quick standard; do
        "$PYTHON" -m hwbench report "$run" --output "$RESULTS" -o "$OUT/$run.html" || failed=1
    done
    tar -czf "$OUT/runs.tar.gz" -C "$RESULTS" . || failed=1
    rm -rf "$RESULTS"
    echo "== $([ "$failed" = 0 ] && echo passed || echo FAILED); results in $OUT"
    return "$failed"
}

all >"$OUT/gpu-check.log" 2>&1
status=$?
cat "$OUT/gpu-check.log"
exit "$status"
