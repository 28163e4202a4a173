#!/usr/bin/env bash
# Runs the tests, all or those whose name contains $1. Prints at the end how long each binary took, and the slowest
# tests.
set -euo pipefail
cd "$(dirname "$0")/.."

# The test harness reports times only where unstable options are allowed. Only the test binaries get the variable: with
# it cargo would compile everything again.
runner='target."cfg(all())".runner = ["env", "RUSTC_BOOTSTRAP=1"]'
cargo test --workspace --all-targets --config "$runner" "$@" -- -Z unstable-options --report-time 2>&1 | awk '
  { print; fflush() }
  /^ +Running / { name = $NF; gsub(/.*\/|-[0-9a-f]+\)$/, "", name) }
  /^test .* <[0-9.]+s>$/ { seconds = $NF; gsub(/[<>s]/, "", seconds); tests[name " " $2] = seconds }
  /^test result: .* finished in / { seconds = $NF; sub(/s$/, "", seconds); if (seconds >= 0.1) binaries[name] += seconds }
  END {
    print "\nseconds per binary:"
    for (name in binaries) printf "%8.1f  %s\n", binaries[name], name | "sort -rn"
    close("sort -rn")
    print "\nseconds of the slowest tests:"
    for (test in tests) printf "%8.1f  %s\n", tests[test], test | "sort -rn | head -n 25"
    close("sort -rn | head -n 25")
  }'
