#!/bin/sh
# Tests hwbench with the lowest versions that pyproject.toml allows, in a venv of its own: the tests, then a short run.
#   PYTHON   the interpreter (python3.11 if there is one)
#   WITH     other versions of some packages: WITH="torch==2.13.0 transformers==5.24.0"
#   ARGS     arguments for pytest: ARGS="-n 2 tests/test_hf.py"
#   VENV     the venv's folder (.venv-lowest); made anew if the versions or the interpreter have changed
# Exit status: 0 passed, 1 a test or the run failed, 2 these versions cannot be installed here.
set -u
cd "$(dirname "$0")/.." || exit 2

PYTHON=${PYTHON:-$(command -v python3.11 || command -v python3.12 || echo python3)}
VENV=${VENV:-.venv-lowest}
BIN=$VENV/bin
pip="$BIN/python -m pip --quiet --disable-pip-version-check install"

fail() { # fail STATUS MESSAGE
    echo "test-lowest: $2" >&2
    exit "$1"
}

"$PYTHON" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail 2 "$PYTHON is no Python 3.11 or newer with venv; name one: make test-lowest PYTHON=/path/to/python3"

set -- test
for pin in ${WITH:-}; do set -- "$@" --with "$pin"; done
wanted=$("$PYTHON" -V && "$PYTHON" tools/lowest_versions.py "$@") || fail 2 "no list of versions"
version=$("$PYTHON" -c 'import platform; print(platform.python_version())')

if [ "$wanted" != "$(cat "$VENV/wanted" 2>/dev/null)" ]; then
    echo "installing the lowest versions into $VENV for Python $version (torch is large)" >&2
    "$PYTHON" -m venv --clear "$VENV" || fail 2 "no venv in $VENV"
    echo "$wanted" | tail -n +2 >"$VENV/lowest.txt"
    # wheels only: pip would try to compile an old source for a new Python
    $pip --only-binary :all: -r "$VENV/lowest.txt" ||
        fail 2 "these versions cannot be installed for Python $version (pip's reason is above); nothing newer was tried"
    # an editable install needs `editables`; pytest-xdist is there for ARGS="-n 2"
    $pip --only-binary :all: -c "$VENV/lowest.txt" editables pytest-xdist || fail 2 "editables or pytest-xdist is missing"
    echo "$wanted" >"$VENV/wanted"
fi
$pip --no-deps --no-build-isolation -e . || fail 2 "hwbench cannot be installed with the lowest build backend"

echo "Python $version"
installed=$("$BIN/python" -m pip --disable-pip-version-check list --format freeze | tr _ -)
for name in $(sed 's/==.*//' "$VENV/lowest.txt" | tr _ -); do
    echo "$installed" | grep -i "^$name==" || echo "$name: not for this Python or machine"
done

# A cache of its own: code compiled by one version of torch, found in the common cache, has crashed another.
TORCHINDUCTOR_CACHE_DIR=$(cd "$VENV" && pwd)/inductor
export TORCHINDUCTOR_CACHE_DIR
results=$(mktemp -d)
failed=0
marks="not gpu"
"$BIN/python" -m pytest --markers 2>/dev/null | grep -q '^@pytest.mark.slow' && marks="$marks and not slow"
# shellcheck disable=SC2086  # several arguments
"$BIN/python" -m pytest -q -m "$marks" ${ARGS:-} || failed=1
"$BIN/python" -m hwbench run gpt/train --set size=nano --set seq=64 --set batch=1 --dtype fp32 --device cpu \
    --processes 1 --max-time 1 --output "$results" || failed=1
rm -rf "$results"
[ "$failed" = 0 ] || fail 1 "FAILED with Python $version and the versions above"
echo "test-lowest: passed with Python $version and the versions above"
