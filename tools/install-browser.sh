#!/bin/sh
# Puts Debian's chromium and its driver there where they are missing and may be installed; else says what to install.
# Exit status 0 in either case: the tests that need a browser are then skipped, and say so.
set -u

have() { command -v "$1" >/dev/null 2>&1; }

have chromium && have chromedriver && exit 0
if ! have apt-get || [ "$(id -u)" != 0 ]; then
	echo "no chromium or no chromedriver here: install them (Debian: chromium and chromium-driver)" >&2
	exit 0
fi
echo "installing chromium and its driver" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver; } >"$log" 2>&1; then
	echo "chromium could not be installed: $(tail -n 1 "$log")" >&2
fi
rm -f "$log"
