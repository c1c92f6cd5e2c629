#!/bin/sh
# What the workflows beside this file run. On the main branch: measure, and keep the run as a baseline. Elsewhere:
# measure, and hold the run against the last runs of main. Leaves gate.xml (JUnit) and gate.md (a comment).
#
# Exit status: 0 passed · 1 a regression, or a case missing or failed · 2 bad input · 3 no verdict, as on a machine
# whose baselines are another's, or where main has not been measured yet.
set -eu

HWBENCH=${HWBENCH:-hwbench}
RESULTS=${RESULTS:-results}                               # keep it between runs of main
BRANCH=${BRANCH:?the name of the branch}
MAIN=${MAIN:-main}
RUN_OPTIONS=${RUN_OPTIONS:---suite quick --processes 5}   # what to measure
GATE_OPTIONS=${GATE_OPTIONS:---threshold 5%}              # what matters; --confirm 5 measures suspects once more
RUN_ID=${RUN_ID:-ci-$(date -u +%Y%m%d-%H%M%S)-$$}

label=branch
[ "$BRANCH" = "$MAIN" ] && label=$MAIN

status=0
# shellcheck disable=SC2086 # they are lists of words
$HWBENCH run $RUN_OPTIONS --output "$RESULTS" --name "$label" --run-id "$RUN_ID" || status=$?
[ "$label" = "$MAIN" ] && exit "$status"
[ "$status" -le 1 ] || exit "$status" # 1: a case failed, which the gate shall tell

# shellcheck disable=SC2086
$HWBENCH gate --baseline "label:$MAIN" --candidate "$RUN_ID" --output "$RESULTS" $GATE_OPTIONS \
    --junit gate.xml --markdown gate.md
