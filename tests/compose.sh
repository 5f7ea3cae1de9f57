#!/bin/sh
# Starts envoy/compose.yaml, makes the calls of envoy/README.md, and looks at the answers.
set -eu
cd "$(dirname "$0")/../envoy"
fail() { echo "$1" >&2; exit "${2:-1}"; }
command -v docker >/dev/null || fail 'docker is missing: install Docker Engine and its compose plugin' 2
docker info >/dev/null 2>&1 || fail 'docker does not answer: start its engine, or set DOCKER_HOST' 2
if docker compose version >/dev/null 2>&1; then compose='docker compose'
elif command -v docker-compose >/dev/null; then compose=docker-compose
else fail 'docker compose is missing: install its plugin' 2
fi
command -v curl >/dev/null || fail 'curl is missing' 2
[ -f ../target/portcullis.wasm ] || fail 'no module: make wasm' 2

# What stands between ```sh and ``` is what a reader copies.
calls=$(sed -n '/^```sh$/,/^```$/{/^```/d;p}' README.md)
trap '$compose down --volumes --timeout 2 >/dev/null 2>&1' EXIT
$compose up -d
deadline=$(($(date +%s) + 600))
until answers=$(sh -c "$calls" 2>/dev/null) && echo "$answers" | grep -q '^HTTP/1.1 200'; do
    [ "$(date +%s)" -lt $deadline ] || { $compose logs --tail 15; fail "not up within ten minutes; the last answers: $answers"; }
    sleep 1
done
statuses=$(echo "$answers" | grep -o 'HTTP/1.1 [0-9]*' | tr '\n' ' ')
[ "$statuses" = 'HTTP/1.1 200 HTTP/1.1 403 ' ] || fail "answers: $statuses"
echo "$answers" | grep -q processInstanceKey || fail 'the cluster did not answer'
echo 'The calls of envoy/README.md are answered as it says.'
