# What can be made here; `make` alone lists it.

ENVOY_VERSION := 1.40.0
OUT := $(or $(CARGO_TARGET_DIR),target)
MODULE := target/portcullis.wasm
ENVOY ?= $(CURDIR)/target/envoy/bin/envoy
export ENVOY
# Further Envoys that the module is tried in; kept outside the tree, they are large.
ENVOY_MATRIX := 1.36.4 1.37.0 1.38.2 1.39.3 1.40.0
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/portcullis
export PORTCULLIS := $(abspath $(OUT))/release/portcullis

# No path of the machine enters the module: two builds of one commit give one checksum.
CARGO_FOLDER := $(or $(CARGO_HOME),$(HOME)/.cargo)
# What is not marked for it is put into its callers only where it is small: by default, at this level
# of optimisation, three times as much is, which a known token does not get faster by.
export CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS := -Cllvm-args=-inline-threshold=75 \
	--remap-path-prefix=$(CURDIR)=. --remap-path-prefix=$(CARGO_FOLDER)/registry/src=crates
# The Python package that talks to registries.
ORAS_VERSION := 0.2.43
# Random calls that are put to the cluster's own engine.
PAIRS ?= 5000

.PHONY: help demo up test test-matrix test-engine test-cluster engine-suites test-monitoring shipped check audit bench wasm cli envoy fmt clean test-reference rules-off
.DEFAULT_GOAL := help

help:
	@echo 'make demo    a dozen calls through a real Envoy, and what became of them (POLICY=file for your own policy)'
	@echo 'make up      the same Envoy left running, with curl lines to try (PORT=n for a fixed port)'
	@echo 'make test    every test: engine, command line, WebAssembly in node, real Envoy'
	@echo 'make test-matrix   the corpus and the shipped configurations in each Envoy of $(ENVOY_MATRIX)'
	@echo 'make test-engine   random policies and calls, put to Camunda'"'"'s own engine and to ours (PAIRS=n SEED=n; JDK 21, Maven)'
	@echo 'make test-cluster  Camunda 8.6, Keycloak, Envoy, and Camunda'"'"'s own clients through it (JDK 21, Maven, Node.js 20)'
	@echo 'make test-istio    a real istiod, Kubernetes API, agent and Envoy: forms, traps, changes (PARTS="names"; Go 1.26, half an hour the first time)'
	@echo 'make test-reference  a million random policies and requests, put to the engine and to the reference evaluator (PAIRS=n SEED=n)'
	@echo 'make rules-off      each rule of the engine switched off in turn: a case or test must fail (about ten minutes on two cores)'
	@echo 'make engine-suites the suites of what that engine has said, written anew'
	@echo 'make test-gateway  a real Envoy Gateway with its Envoy, guarded by what render writes (Go, docker-registry; PARTS=names)'
	@echo 'make test-monitoring   the Prometheus rules and the Grafana dashboard, by promtool and by Grafana'"'"'s own types (Go)'
	@echo 'make test-pushes   1,000 changes of the policy in ten minutes under load (PUSHES=n PUSH_SECONDS=n)'
	@echo 'make image         the module as an OCI image in target/image, with checksum and SBOM (PUSH=registry/name:tag pushes it)'
	@echo 'make test-image    a second build, and the image pushed to a registry and pulled back (needs docker-registry)'
	@echo 'make test-compose  envoy/compose.yaml started, and the calls of envoy/README.md made (needs docker)'
	@echo 'make shipped       write anew what in envoy/ is made of other files'
	@echo 'make check   formatting, lints, dependencies (needs cargo-deny)'
	@echo 'make audit   known vulnerabilities in dependencies (needs cargo-deny and the network)'
	@echo 'make bench   cost per request beside Envoy'"'"'s own filters'
	@echo 'make bench-push  how soon a new table of 100,000 grants is live, and how long it keeps a worker (PUSHES=n)'
	@echo 'make instructions  what the engine takes for a request, held against its budget (needs valgrind; WRITE=1 makes it the budget)'
	@echo 'make fuzz    every fuzz target for 15 seconds (TARGET=name SECONDS=n for one; needs cargo-fuzz)'
	@echo 'make wasm    the module: $(MODULE)'
	@echo 'make cli     the command: $(OUT)/release/portcullis'
	@echo 'make clean   remove what was made'

demo: wasm cli envoy
	@cargo run --quiet -p portcullis-e2e --bin demo -- $(if $(POLICY),--policy '$(POLICY)')

up: wasm cli envoy
	@cargo run --quiet -p portcullis-e2e --bin demo -- --up $(if $(POLICY),--policy '$(POLICY)') $(if $(PORT),--port '$(PORT)')

test: wasm cli envoy .node
	python3 tests/rules-off/run.py --check
	cargo test -p portcullis --features cli
	cargo test -p portcullis-reference -p portcullis-workflow-engine
	cargo test -p portcullis-e2e

# What Envoy has no part in need not be tried in each.
test-matrix: wasm
	@for version in $(ENVOY_MATRIX); do \
		echo "Envoy $$version"; \
		[ -x "$(CACHE)/envoy-$$version/bin/envoy" ] || sh envoy/fetch.sh "$$version" "$(CACHE)/envoy-$$version" || exit 2; \
		ENVOY="$(CACHE)/envoy-$$version/bin/envoy" cargo test -p portcullis-e2e --test corpus --test shipped -- --skip as_expected --skip the_command_line_ --skip in_node_ --skip one_case_ || exit 1; \
	done

test-engine:
	cargo run --quiet -p portcullis-workflow-engine -- compare --pairs $(PAIRS) $(if $(SEED),--seed $(SEED))

test-cluster: wasm envoy
	cargo run --quiet -p portcullis-cluster
.PHONY: test-gateway
test-gateway: wasm cli envoy image target/oras target/noop.wasm
	cargo run --quiet -p portcullis-envoy-gateway -- $(PARTS)

# What of Istio is built or fetched is kept outside the tree; see tests/istio/fetch.sh.
.PHONY: test-istio
test-istio: wasm cli envoy image target/oras target/noop.wasm
	cargo run --quiet -p portcullis-istio -- $(PARTS)

# A plugin that does nothing, as others may have one beside ours.
.PHONY: target/noop.wasm
target/noop.wasm: | .rust
	@cargo build --quiet --release -p portcullis-bench-noop --target wasm32-wasip1
	@cp '$(OUT)/wasm32-wasip1/release/portcullis_bench_noop.wasm' target/noop.wasm

test-reference: PAIRS = 1000000
test-reference:
	cargo run --release --quiet -p portcullis-reference -- --pairs $(PAIRS) $(if $(SEED),--seed $(SEED))

rules-off:
	python3 tests/rules-off/run.py

.PHONY: instructions
instructions:
	@command -v valgrind >/dev/null || { echo 'valgrind is missing (Debian: apt-get install valgrind)' >&2; exit 2; }
	@cargo run --release --quiet -p portcullis-instructions -- $(if $(WRITE),--write)

engine-suites:
	cargo run --quiet -p portcullis-workflow-engine -- suites

test-monitoring:
	@command -v promtool >/dev/null || { echo 'promtool is missing: it comes with Prometheus (Debian: apt-get install prometheus)' >&2; exit 2; }
	promtool check rules envoy/monitoring/prometheus-rules.yaml
	promtool test rules tests/monitoring/rules.yaml
	@command -v go >/dev/null || { echo 'go is missing: https://go.dev, 1.23 or newer' >&2; exit 2; }
	@mkdir -p target
	python3 tests/monitoring/expressions.py envoy/monitoring/grafana-dashboard.json >target/dashboard-rules.json
	promtool check rules target/dashboard-rules.json
	go -C tests/monitoring/dashboard run . $(CURDIR)/envoy/monitoring/grafana-dashboard.json

.PHONY: test-pushes test-image test-compose image
test-pushes: wasm envoy
	PUSHES=$(or $(PUSHES),1000) PUSH_SECONDS=$(or $(PUSH_SECONDS),600) \
		cargo test -p portcullis-e2e --test pushes -- --nocapture

image: wasm $(if $(PUSH),target/oras)
	@rm -rf target/image
	@python3 filters/image.py pack '$(MODULE)' target/image
	@$(if $(PUSH),target/oras/bin/python filters/image.py push target/image '$(PUSH)')

target/oras:
	@python3 -m venv target/oras && target/oras/bin/pip install --quiet --disable-pip-version-check 'oras==$(ORAS_VERSION)' \
		|| { rm -rf target/oras; echo 'oras could not be fetched from PyPI' >&2; exit 2; }

test-image: image target/oras
	target/oras/bin/python tests/image.py

test-compose: wasm
	sh tests/compose.sh

shipped:
	UPDATE=1 cargo test -p portcullis-e2e --test shipped the_dynamic

check:
	cargo fmt --check
	cargo clippy --workspace --exclude portcullis-filter --exclude portcullis-bench-noop --all-targets --features portcullis/cli -- -D warnings
	cargo clippy -p portcullis-filter -p portcullis-bench-noop --target wasm32-wasip1 -- -D warnings
	cargo deny check bans licenses sources

audit:
	cargo deny check advisories

bench: wasm envoy
	cargo build --release -p portcullis-bench-noop --target wasm32-wasip1
	cargo run --release -p portcullis-bench --bin bench -- --json target/bench.json --svg target/bench.svg

.PHONY: bench-push
bench-push: wasm envoy
	cargo run --release -p portcullis-bench --bin bench -- --push $(if $(PUSHES),--pushes $(PUSHES))

fuzz: | .rust
	@command -v cargo-fuzz >/dev/null || { echo 'cargo-fuzz is missing: cargo install --locked cargo-fuzz@0.13.2' >&2; exit 2; }
	@sh tests/fuzz/run.sh '$(TARGET)' $(SECONDS)

wasm: | .rust
	@cargo build --profile wasm -p portcullis-filter --target wasm32-wasip1
	@mkdir -p target
	@cargo run --quiet -p portcullis-pack -- $(OUT)/wasm32-wasip1/wasm/portcullis_filter.wasm $(MODULE)
	@chmod 644 $(MODULE)

cli: | .rust
	@cargo build --release -p portcullis --features cli

envoy:
	@if [ ! -x '$(ENVOY)' ]; then sh envoy/fetch.sh '$(ENVOY_VERSION)'; fi

fmt:
	cargo fmt

clean:
	cargo clean
	rm -rf target

# The corpus also runs in node: what runs it there, in the version that tests/corpus is built with.
WASM_BINDGEN := $(shell sed -n 's/^wasm-bindgen = "=\(.*\)"/\1/p' tests/corpus/Cargo.toml)
export PATH := $(CURDIR)/target/wasm-bindgen/bin:$(PATH)
.PHONY: .node
.node: | .rust
	@command -v node >/dev/null || { echo 'node is missing: install Node.js 20 or newer, https://nodejs.org' >&2; exit 2; }
	@[ -d "$$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown" ] \
		|| { echo "the Rust target is missing: rustup target add wasm32-unknown-unknown" >&2; exit 2; }
	@[ "$$(wasm-bindgen --version 2>/dev/null)" = 'wasm-bindgen $(WASM_BINDGEN)' ] \
		|| cargo install --locked --quiet --root target/wasm-bindgen 'wasm-bindgen-cli@$(WASM_BINDGEN)' \
		|| { echo 'wasm-bindgen-test-runner is missing: cargo install --locked wasm-bindgen-cli@$(WASM_BINDGEN)' >&2; exit 2; }

# One clear line where Rust or its wasm target is missing.
.PHONY: .rust
.rust:
	@command -v cargo >/dev/null || { echo 'Rust is missing: install rustup, https://rustup.rs' >&2; exit 2; }
	@[ -d "$$(rustc --print sysroot)/lib/rustlib/wasm32-wasip1" ] \
		|| { echo "the Rust target is missing: rustup target add wasm32-wasip1 --toolchain $$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)" >&2; exit 2; }
