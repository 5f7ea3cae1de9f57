#!/bin/sh
# The suites with the engine as wasm32-unknown-unknown in Node.js.
set -eu
cd "$(dirname "$0")/../.."
missing() {
	echo "$1" >&2
	exit 2
}
command -v node >/dev/null || missing 'Node.js is missing: install version 20 or newer, https://nodejs.org'
channel=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
[ -d "$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown" ] ||
	missing "the Rust target is missing: rustup target add wasm32-unknown-unknown --toolchain $channel"
version=$(sed -n '/^name = "wasm-bindgen"$/{n;s/^version = "\(.*\)"/\1/p;}' Cargo.lock)
[ "$(wasm-bindgen-test-runner --version 2>/dev/null)" = "wasm-bindgen-test-runner $version" ] ||
	missing "the test runner is missing: cargo install --locked wasm-bindgen-cli@$version"
CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=wasm-bindgen-test-runner
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER
cargo test -p portcullis-wasm-tests --target wasm32-unknown-unknown --test corpus "$@"
