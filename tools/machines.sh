#!/bin/sh
# What depends on the processor, as other machines would run it: with fewer instructions, on one core, on one thread.
# Each has the tests marked `machine`, and the suite quick at its smallest. Exit status 1 if any of it fails.
set -u
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

machine() { # machine NAME COMMAND…: the rest of the command line starts a program as on that machine
	name=$1
	shift
	echo "== $name"
	export HWBENCH_CACHE="$scratch/$name" TORCHINDUCTOR_CACHE_DIR="$scratch/$name/inductor"
	"$@" "$PYTHON" -m pytest -q -n auto --dist worksteal -m machine || { echo "== $name: tests failed"; failed=1; }
	"$@" "$PYTHON" -m hwbench run --device cpu --set size=nano --set m=256 --set n=256 --set k=256 --set mb=16 \
		--processes 1 --min-time 0.2 --max-time 0.5 --output "$scratch/results" --run-id "$name" ||
		{ echo "== $name: hwbench run failed"; failed=1; }
}

machine avx2 env ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2
machine baseline env ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41
machine one-thread env OMP_NUM_THREADS=1
if command -v taskset >/dev/null; then
	machine one-core taskset -c 0
else
	echo "== one-core: left out, there is no taskset here"
fi
exit "$failed"
