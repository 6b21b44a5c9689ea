#!/usr/bin/env bash
# Build sdist and wheel of the committed tree twice, in two folders; compare; try the wheel in a new environment.
# Leaves dist/ with both files and SHA256SUMS.
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD
export SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

build_once() {  # another path and another umask each time: neither may show in the result
  local source=$folder/$1/source
  mkdir -p "$source"
  (umask "$2" && git archive HEAD | tar -x -C "$source" &&
    "$top/.venv/bin/python" -m build --no-isolation --outdir "$folder/$1/dist" "$source" >"$folder/$1/log" 2>&1) ||
    { tail -n 20 "$folder/$1/log" >&2; exit 1; }
  (cd "$folder/$1/dist" && sha256sum -- * >SHA256SUMS)
}

build_once first 022
build_once second/and-deeper 077
if ! cmp -s "$folder/first/dist/SHA256SUMS" "$folder/second/and-deeper/dist/SHA256SUMS"; then
  echo "build: two builds of one commit differ" >&2
  diff "$folder/first/dist/SHA256SUMS" "$folder/second/and-deeper/dist/SHA256SUMS" >&2
  exit 1
fi
rm -rf dist && cp -r "$folder/first/dist" dist
echo "build: two builds of $(git rev-parse --short HEAD) are identical"

.venv/bin/python -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check --require-hashes -r packaging/runtime.lock
"$folder/venv/bin/pip" install -qq --disable-pip-version-check --no-deps dist/*.whl
cd "$folder"
"$folder/venv/bin/deleatur" --help >"$folder/help" || { echo "build: the wheel's deleatur --help failed" >&2; exit 1; }
"$folder/venv/bin/deleatur" selftest >"$folder/selftest" || { cat "$folder/selftest" >&2; exit 1; }
echo "build: the wheel installs, starts and tests itself without extras"
