#!/usr/bin/env bash
# Builds a sanitizer's preset and runs under it what fits:
#   scripts/sanitize.sh asan|tsan [--all]
# The library's unit tests, the simulation, and cancels that race in real threads. With --all (or GODWIT_LONG=1) all unit tests, more races,
# scenarios of each kind, the corpora of the fuzzers, and guests that move between two processes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=$1
build=build/$preset
everything=${GODWIT_LONG:-0}
[ "${2:-}" != --all ] || everything=1
targets=(library-tests simulation-tests threads-race)
races=2000
if [ "$everything" != 0 ]; then
    targets=(all)
    races=10000
fi
scripts/build.sh "$preset" -DGODWIT_TESTS=ON -- "${targets[@]}"

# Tests ask for more memory than there is; that is refused as it is without a sanitizer.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1:allocator_may_return_null=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1:allocator_may_return_null=1}
# One process for all tests of a program: starting processes is what takes long here.
"$build/tests/simulation/simulation-tests" --gtest_brief=1 </dev/null
"$build/tests/simulation/threads-race" "$races" </dev/null
if [ "$everything" = 0 ]; then
    "$build/tests/sanitizers/library-tests" --gtest_brief=1 </dev/null
else
    "$build/tests/unit-tests" --gtest_brief=1 </dev/null
    for kind in runs disks direct race-cancel; do
        "$build/tests/simulation/simulation" "--$kind" 300 </dev/null
    done
    "$build/tests/simulation/simulation" --every-step 1 </dev/null
    ctest --test-dir "$build" --output-on-failure -R '^fuzz\.corpus\.' </dev/null
    ctest --test-dir "$build" --output-on-failure -R '^e2e\.(tcp|unix)\.1cpu\.paced$' </dev/null
fi
