# patchcored: thin targets over cargo and scripts/. `make demo` and `make test` do all the set-up on a fresh machine.
# LIBTORCH=/path make …   uses an installed libtorch 2.13.0 (e.g. one with CUDA) instead of fetching the CPU one.

# Everything is built with the release profile, so that torch-sys (minutes) is compiled once.
CARGO_FLAGS := --release --locked
BIN := target/release/patchcored

.PHONY: demo test bench build lint spell deny setup tools slow-writers backlog overhead reload-load mqtt-outage mounts chaos soak fuzz prometheus pictures \
	rpm tarball deb try-package try-systemd package-tools

build: setup
	cargo build $(CARGO_FLAGS) --bins
	@echo "built $(BIN)"

demo: build
	$(BIN) demo --dir demo-line

# REQUIRE_ALL=1 make test   no test may be skipped for want of a tool or a right
# TEST_PATIENCE=10 make test   for a machine that is ten times slower
# Most tests wait for a daemon, so that three of them share a core.
test: setup
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$((3 * $$(nproc)))} cargo test $(CARGO_FLAGS)

# Criterion's figures for each stage, then a table of where the time of one image goes. ONLY=nearest   those stages alone
# PEERS=VENV   beside Python, OpenVINO and ONNX Runtime, which take turns: a virtual environment with what scripts/peers.py names
bench: setup
	PEERS=$(PEERS) cargo bench --locked --bench engine -- $(ONLY)

# Measurements with the real daemon; the defaults of N and MINUTES are the figures of docs/measurements.md.
slow-writers: setup
	N=$(or $(N),10000) cargo test $(CARGO_FLAGS) --test tests load::slow_writers -- --ignored --nocapture

backlog: setup
	N=$(or $(N),100000) cargo test $(CARGO_FLAGS) --test tests load::backlog -- --ignored --nocapture

overhead: setup
	MINUTES=$(or $(MINUTES),10) cargo test $(CARGO_FLAGS) --test tests load::overhead -- --ignored --nocapture

# Cameras write while the configuration is changed and read again N times, in ways that cannot be used too. SEED=… repeats a run.
reload-load: setup
	N=$(or $(N),500) SEED=$(SEED) cargo test $(CARGO_FLAGS) --test tests -- --ignored --exact --nocapture load::reloads::many_reloads

# A broker is gone for MINUTES while images come; then what a message costs the decision. Needs mosquitto and says so.
mqtt-outage: setup
	MINUTES=$(or $(MINUTES),1) cargo test $(CARGO_FLAGS) --test tests load::mqtt -- --ignored --nocapture --test-threads=1

# File systems are mounted and unmounted N times elsewhere on the machine while images come; none may fail. Needs root.
mounts: setup
	N=$(or $(N),10000) cargo test $(CARGO_FLAGS) --test tests load::mounts -- --ignored --nocapture

# Cameras write, the daemon is killed N times at random moments, and the ledger must come out even. SEED=… repeats a run.
chaos: setup
	N=$(or $(N),1000) SEED=$(SEED) cargo test $(CARGO_FLAGS) --test tests -- --ignored --exact --nocapture chaos::kills::chaos_run

# A line with changing OK images, faults, restarts and reloads; prints what the daemon holds every minute, and the slopes at the end.
soak: setup
	MINUTES=$(or $(MINUTES),30) cargo test $(CARGO_FLAGS) --test tests -- --ignored --exact --nocapture chaos::soak::soak_run

# A real Prometheus (Debian: apt-get install --no-install-recommends prometheus) asks a small line, and what it knows is compared with the history.
prometheus: setup
	cargo test $(CARGO_FLAGS) --test tests -- --ignored --exact --nocapture monitoring::prometheus::prometheus_asks_the_daemon

# Makes the picture and the status of the README anew, from the demo.
pictures: build
	@scripts/pictures

# Each fuzz target for SECONDS; needs a nightly compiler and cargo-fuzz, and says so.
fuzz: setup
	@scripts/fuzz $(or $(SECONDS),60)

# Packages for Rocky Linux 8 into dist/, from Debian 12 or from Rocky itself; FOR=host: for this machine's own distribution instead.
# The linker that the former needs is fetched once, like everything else.
rpm: package-tools setup
	@FOR=$(FOR) scripts/package/rpm

tarball: package-tools setup
	@FOR=$(FOR) scripts/package/tarball

# A package for Debian 12, made there.
deb: package-tools setup
	@scripts/package/deb

# Installs each package of dist/ into a folder and plays a line with it as its service would run: read-only system, no network, another user. Needs root.
try-package: setup
	@scripts/try-package $(PACKAGE)

# The service under a real systemd, on a machine of its own under an overlay. Needs root, cgroups and systemd.
try-systemd: setup
	cargo test $(CARGO_FLAGS) --test tests -- --ignored --exact --nocapture package::systemd::a_real_systemd_runs_the_service

package-tools:
	@scripts/check-tools package

# What a change must pass, the quick checks first. Documentation is built with the warnings that its readers would stumble over as errors.
lint: setup spell deny
	cargo fmt --check
	cargo clippy $(CARGO_FLAGS) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(CARGO_FLAGS) --no-deps --lib

# Spelling, with the words of .typos.toml.
spell: tools
	tools=$$(scripts/lint-tools) && "$$tools/typos"

# Licences, sources and unwanted crates, by the rules of deny.toml. Known weaknesses are not looked up here: deny.toml says why.
deny: tools
	tools=$$(scripts/lint-tools) && "$$tools/cargo-deny" --locked check -D warnings bans licenses sources

# Fetches libtorch and the EfficientNet-Lite0 weights into the user's cache, once; leaves target/libtorch for .cargo/config.toml.
setup: tools
	@scripts/setup

# Says what is missing before anything starts.
tools:
	@scripts/check-tools
