#!/bin/sh
# Runs fuzz targets: run.sh [TARGET [SECONDS]]; without a target all, one after the other.
# What they learn is kept in target/fuzz/corpus, what breaks them in target/fuzz/artifacts.
set -eu
cd "$(dirname "$0")/../.."
targets=${1:-$(sed -n 's/^name = "\(.*\)"$/\1/p' tests/fuzz/Cargo.toml | sed 1d)}
seconds=${2:-15}
# No sanitizer: engine and tests are safe code, and stable Rust is enough without one. Memory is
# counted by the targets themselves.
set -- --fuzz-dir tests/fuzz --target-dir target/fuzz --sanitizer none
cargo fuzz build "$@"
for target in $targets; do
    corpus=target/fuzz/corpus/$target
    mkdir -p "$corpus" "target/fuzz/artifacts/$target"
    echo "fuzzing $target for $seconds s"
    cargo fuzz run "$@" "$target" "$corpus" "tests/fuzz/seeds/$target" -- \
        -dict="tests/fuzz/dictionaries/$target" -artifact_prefix="target/fuzz/artifacts/$target/" \
        -max_total_time="$seconds" -max_len=20000 -timeout=5 -rss_limit_mb=1024 -print_final_stats=1
done
