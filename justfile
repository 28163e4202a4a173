# The commands of this repository. `./justw` runs them where `just` is not installed.

set shell := ["sh", "-eu", "-c"]

# What the tests use: the host's dev profile, whose dependencies are optimised.
debug := "target/debug/seam"
release := "target/release/seam"

# List the commands
[private]
default:
    @"{{ just_executable() }}" --justfile "{{ justfile() }}" --list --unsorted

# Build what is missing and serve the shop with demo data on http://127.0.0.1:8080
run *args: _host
    @{{ release }} doctor --fix --for run >&2
    @{{ release }} build >&2
    @"{{ just_executable() }}" --justfile "{{ justfile() }}" _demo-data
    @exec {{ release }} up {{ args }}

# Serve the shop and make live what you save: sources, interfaces, static files, the manifest
dev *args: _host
    @{{ release }} doctor --fix --for run >&2
    @"{{ just_executable() }}" --justfile "{{ justfile() }}" _demo-data
    @exec {{ release }} dev {{ args }}

# Run the tests; `just test NAME` runs those whose name contains NAME, `just test --timings` says which took longest
test *args:
    @# With all targets: the features of the dependencies are then the same as for the tests, so nothing is built twice.
    cargo build --workspace --all-targets
    @{{ debug }} doctor --fix --for test >&2
    @{{ debug }} build >&2
    @# Only the tests of the engines in other languages need what builds those.
    @{{ debug }} build recommendation@js recommendation@cljs recommendation@python >&2
    @{{ debug }} test >&2
    @set -- {{ args }}; \
    if [ "${1:-}" = --timings ]; then shift; tests/timings.sh "$@"; else cargo test --workspace "$@"; fi
    @echo "all tests passed"

# Run the shop's tests with its contexts on several hosts; `just placements "three nats" buying::` runs some of them
placements placements="finance three nats" *tests="":
    cargo build --workspace --all-targets
    @{{ debug }} doctor --fix --for test >&2
    @{{ debug }} build >&2
    @# The others choose their hosts themselves.
    @failed=; for placement in {{ placements }}; do echo "placement: $placement" >&2; \
        SEAM_TEST_PLACEMENT="$placement" cargo test --workspace --test shop -- {{ tests }} --skip apart:: --skip copies:: \
            --skip placed:: --skip placements:: --skip relocated:: --skip scenarios::every --skip standing_by:: \
            || failed="$failed $placement"; \
    done; if [ -n "$failed" ]; then echo "tests fail in:$failed" >&2; exit 1; fi

# Run the scenarios of the contexts, each alone; `just scenarios --watch` again and again
scenarios *args: _host
    @{{ release }} build >&2
    @{{ release }} test {{ args }}

# Check what a reviewer would: format, lints, tests
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    @"{{ just_executable() }}" --justfile "{{ justfile() }}" test

# Measure the host beside native programs; `--only scale` or `--only dev` measures what takes long
bench *args:
    @# All three in one call: the same features of the dependencies, so nothing is built twice.
    cargo build --release -p seam -p shop-data -p seam-bench
    @{{ release }} doctor --fix --for run >&2
    @{{ release }} build >&2
    target/release/seam-bench {{ args }}

# Measure one call and the album page with the callees on other hosts, beside native services and gRPC
bench-placement *args:
    @"{{ just_executable() }}" --justfile "{{ justfile() }}" bench --only placement {{ args }}

# Place the same orders under the same faults in each checkout mode and in the monolith; `--orders 200` is faster
compare-transactions *args:
    cargo build --release -p seam -p shop-data -p seam-bench
    @{{ release }} doctor --fix --for run >&2
    @{{ release }} build >&2
    target/release/seam-bench compare-transactions {{ args }}

# Random guests and clients against the host for some minutes; `just fuzz 600 7` repeats one seed
fuzz seconds="120" seed="":
    cargo build --workspace --bins
    SEAM_FUZZ_S={{ seconds }} SEAM_FUZZ_SEED={{ seed }} cargo test --workspace --test components fuzzing -- --nocapture

# Random bytes against the codec, by both of its ways; `just fuzz-codec 1 SEED` repeats one seed
fuzz-codec seeds="5000" seed="":
    SEAM_CODEC_SEEDS={{ seeds }} SEAM_CODEC_SEED={{ seed }} cargo test --workspace --lib both_ways -- --nocapture

# Swap contexts 600 times under load, good and bad versions; `just torture-swap 100` does it less often
torture-swap swaps="600":
    cargo build --workspace --all-targets
    @{{ debug }} build >&2
    SEAM_TORTURE_SWAPS={{ swaps }} cargo test --workspace --test torture -- swaps:: --nocapture --test-threads 1

# Kill the shop 500 times under load, and 20 times at each fault point; `just torture 50 --hours 0.5 --seed 7`
torture *args:
    cargo build --workspace --all-targets
    @{{ debug }} build >&2
    @set -- {{ args }}; kills=500 hours=0 seed=; \
    while [ $# -gt 0 ]; do case "$1" in \
        --hours) hours="$2"; shift 2;; \
        --seed) seed="$2"; shift 2;; \
        *) kills="$1"; shift;; \
    esac; done; \
    export SEAM_TORTURE_KILLS="$kills" SEAM_TORTURE_HOURS="$hours" SEAM_TORTURE_SEED="$seed"; \
    export SEAM_TORTURE_KILLS_AT_EACH_POINT=20; \
    cargo test --workspace --lib killed -- --nocapture; \
    cargo test --workspace --test torture -- kills:: --nocapture --test-threads 1

# Move a context 50 times under load, and as often with kills; `just torture-move 10`
torture-move moves="50":
    cargo build --workspace --all-targets
    SEAM_MOVES={{ moves }} cargo test --workspace --test torture -- moves:: --nocapture --test-threads 1

# Cut, freeze, kill and skew the shop's hosts and its broker under load; `just torture-hosts 40 --seed 7`
torture-hosts *args:
    cargo build --workspace --all-targets
    @{{ debug }} build >&2
    @set -- {{ args }}; rounds=36 seed=; \
    while [ $# -gt 0 ]; do case "$1" in \
        --seed) seed="$2"; shift 2;; \
        *) rounds="$1"; shift;; \
    esac; done; \
    export SEAM_TORTURE_ROUNDS="$rounds" SEAM_TORTURE_SEED="$seed"; \
    cargo test --workspace --test torture -- between:: --nocapture --test-threads 1

# Measure the pause of moves of a large file that is written to; `just bench-move 20 100` takes 20 moves and 100 MB
bench-move moves="20" megabytes="1000":
    cargo build --release --workspace --bins
    SEAM_MOVES={{ moves }} SEAM_MOVE_MB={{ megabytes }} \
        cargo test --release --workspace --test torture -- moves::a_context_moves_again --nocapture

# Deliveries and sagas by chance; with `--hosts 100 --seed 7 --runs 5`, so many hosts under failure
simulate *args:
    @set -- {{ args }}; hosts= first= runs=1 seeds=10000 seed=; \
    case "${1:-}" in --*) ;; *) seeds="${1:-10000}" seed="${2:-}"; shift $#;; esac; \
    while [ $# -gt 0 ]; do case "$1 ${2:-}" in \
        "--hosts "[0-9]*) hosts="$2"; shift 2;; \
        "--seed "[0-9]*) first="$2"; shift 2;; \
        "--runs "[0-9]*) runs="$2"; shift 2;; \
        *) echo "error: \`$1\` is none of --hosts N, --seed N and --runs N" >&2; exit 2;; \
    esac; done; \
    if [ -n "$hosts$first" ]; then \
        export SEAM_HOSTS="${hosts:-5}" SEAM_HOSTS_SEED="$first" SEAM_HOSTS_RUNS="$runs"; \
        exec cargo test --workspace --lib simulation::tests::whatever_fails -- --nocapture; \
    fi; \
    export SEAM_SIMULATE_SEEDS="$seeds" SEAM_SIMULATE_SEED="$seed"; \
    exec cargo test --workspace --lib tests::simulation::whatever -- --nocapture

# Plant faults in the sources, one at a time, and say which the tests notice; `just mutants NAME` plants some of them
mutants *args:
    cargo run -p seam-mutants -- {{ args }}

# Look for known faults, licences and foreign sources among the dependencies: SECURITY.md says when
advisories: _cargo-deny
    PATH="$PWD/.tools/bin:$PATH" cargo deny check
    @# What makes components of JavaScript; it does not become part of them but for its runtime.
    npm audit --prefix plugins/sdk-js --package-lock-only

# Format the sources
fmt:
    cargo fmt --all

# Build the host and the components whose sources changed; `just build CONTEXT` only that
build *contexts: _host
    @{{ release }} build {{ contexts }}

# Say what this machine has and lacks; `just doctor --fix` installs it
doctor *args: _host
    @{{ release }} doctor --for test {{ args }}

# Begin with new demo data, and empty databases for it; `just demo-data --orders 20000` makes a larger shop
demo-data *args: _host
    @# Two histories must not mix: the databases with the old one go. A running shop would not notice, and lose
    @# them when it ends.
    @if {{ release }} contexts >/dev/null 2>&1; then echo "error: the shop is running" >&2; echo "hint: stop it first" >&2; exit 1; fi
    rm -rf run/demo run/stores
    target/release/shop-data demo --out run/demo {{ args }}
    @touch run/demo/.made

# Delete everything that was built, and the databases in run (installed tools stay in .tools)
clean:
    cargo clean
    rm -rf run

# The one on the PATH, or one of our own in the ignored folder .tools.
_cargo-deny:
    @if ! PATH="$PWD/.tools/bin:$PATH" cargo deny --version >/dev/null 2>&1; then \
        echo "installing cargo-deny into .tools (once, some minutes)" >&2; \
        (cd / && CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off \
            cargo install cargo-deny --version 0.20.2 --locked --root "{{ justfile_directory() }}/.tools") >&2; \
    fi

# The host, and the program that makes demo data, as they are served.
_host:
    @cargo build --release -p seam -p shop-data

# Only where it is missing or older than what it is made from.
_demo-data:
    @if [ ! run/demo/.made -nt target/release/shop-data ] || [ ! run/demo/.made -nt data/albums.csv ]; then \
        echo "making the demo data in run/demo" >&2; \
        target/release/shop-data demo --out run/demo >&2; \
        touch run/demo/.made; \
    fi
