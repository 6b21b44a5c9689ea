#!/usr/bin/env bash
# Run pytest in a temporary folder of its own, so that two runs on one machine never touch each other's
# mounted images, and remove the folder afterwards without following a mount that was left behind.
set -uo pipefail
cd "$(dirname "$0")/.."
TMPDIR=$(mktemp -d /tmp/t.XXXXXX) || exit 1
chmod 755 "$TMPDIR"  # some tests look at it as another user
export TMPDIR
.venv/bin/python -m pytest --basetemp="$TMPDIR/b" "$@"  # short: names of sockets end at 107 bytes
code=$?
rm -rf --one-file-system "$TMPDIR" || echo "tests: something is still mounted below $TMPDIR" >&2
exit $code
