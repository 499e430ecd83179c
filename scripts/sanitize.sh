#!/usr/bin/env bash
# Builds a sanitizer's preset and runs under it what fits:
#   scripts/sanitize.sh asan|tsan                      the library's unit tests, the simulation, and cancels that race in real threads
#   scripts/sanitize.sh asan|tsan --all                all unit tests, more races, scenarios of each kind, the corpora of the fuzzers, and
#                                                      processes between which guests move, QEMU's among them (GODWIT_LONG=1 does the same)
#   scripts/sanitize.sh asan|tsan --all --step NAME    of these only the steps whose name begins like that
# A step that fails does not keep the others from running. What they print is in build/PRESET/sanitize/. docs/testing.md has what is left out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=$1
shift
everything=${GODWIT_LONG:-0}
only=
while [ $# -gt 0 ]; do
    case "$1" in
    --all) everything=1 ;;
    --step)
        only=$2
        shift
        ;;
    *)
        printf 'sanitize: unknown argument %s\n' "$1" >&2
        exit 2
        ;;
    esac
    shift
done
build=build/$preset
logs=$build/sanitize
targets=(library-tests simulation-tests threads-race)
[ "$everything" = 0 ] || targets=(all)
scripts/build.sh "$preset" -DGODWIT_TESTS=ON -- "${targets[@]}"
mkdir -p "$logs"

# Tests ask for more memory than there is; that is refused as it is without a sanitizer. No test expects the status 99.
rules=$PWD/tests/sanitizers
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1:allocator_may_return_null=1:exitcode=99}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:exitcode=99}
export LSAN_OPTIONS=${LSAN_OPTIONS:-suppressions=$rules/leaks.txt:print_suppressions=0:exitcode=99}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1:allocator_may_return_null=1:exitcode=99:print_suppressions=0:suppressions=$rules/races.txt}
export GODWIT_TEST_SANITIZER=$preset
# UCX would hook madvise() and the like, also where a thread ends and the thread sanitizer has already forgotten it.
export UCX_MEM_EVENTS=${UCX_MEM_EVENTS:-no}
# Programs are several times as slow as without.
export GODWIT_TEST_PATIENCE=${GODWIT_TEST_PATIENCE:-4}
# In the filtered thread the sanitizers cannot do what they have to: the check of virtual calls asks for memory by means of a pipe, reports read files.
export GODWIT_TEST_SANDBOX=${GODWIT_TEST_SANDBOX:-off}

# left_out KIND: the names in tests/sanitizers/left_out.txt for this preset, with colons between them.
left_out() {
    awk -v preset="$preset" -v kind="$1" '$1 == kind && ($2 == preset || $2 == "both") { printf "%s%s", (n++ ? ":" : ""), $3 }' "$rules/left_out.txt"
}

failed=()
# What a program says about how much it has run: GoogleTest, CTest, the simulation, the races.
summary() {
    grep -aE '^\[=+\] .* ran\.|tests passed,|^[0-9]+ runs|races|cancelled' "$1" | tail -n 2 | paste -sd ';' || true
}
# step NAME COMMAND...: one process for all tests of a program, as starting processes is what takes long here.
step() {
    local name=$1 begun=$SECONDS status=0
    shift
    [[ $name == "$only"* ]] || return 0
    "$@" >"$logs/$name.log" 2>&1 </dev/null || status=$?
    printf '%-14s %5d s  %s  %s\n' "$name" $((SECONDS - begun)) "$([ "$status" = 0 ] && echo good || echo "FAILED ($status)")" "$(summary "$logs/$name.log")"
    if [ "$status" != 0 ]; then
        failed+=("$name")
        tail -n 60 "$logs/$name.log"
    fi
}
# ctest_step NAME REGEX: tests of CTest.
ctest_step() {
    local leave_out
    leave_out=$(left_out ctest | sed 's/[.]/\\./g; s/:/|/g')
    step "$1" ctest --test-dir "$build" --output-on-failure --no-tests=error -R "^($2)\$" ${leave_out:+-E "^($leave_out)\$"}
}

step simulation "$build/tests/simulation/simulation-tests" --gtest_brief=1
if [ "$everything" = 0 ]; then
    step races "$build/tests/simulation/threads-race" 2000
    step library "$build/tests/sanitizers/library-tests" --gtest_brief=1 --gtest_filter="-$(left_out unit)"
else
    step races "$build/tests/simulation/threads-race" 10000
    step migration "$build/tests/simulation/migration-tests" --gtest_brief=1
    step unit "$build/tests/unit-tests" --gtest_brief=1 --gtest_filter="-$(left_out unit)"
    for kind in runs disks direct race-cancel; do
        step "scenarios.$kind" "$build/tests/simulation/simulation" "--$kind" 300
    done
    step scenarios.steps "$build/tests/simulation/simulation" --every-step 1
    ctest_step corpora 'fuzz\.corpus\..*'
    # One of each kind that brings other threads, other code or another peer. What judges times is not among them.
    ctest_step transports 'e2e\.(tcp|unix|fd|exec|file)\.1cpu\.paced|e2e\.tcp\.2cpus\.max|e2e\.ping_pong'
    ctest_step steering 'e2e\.tcp\.(cancel|xbzrle|zero_pages)|e2e\.(trace|terminal_monitor|top_once)'
    ctest_step disks 'e2e\.disks\.(tcp|unix|slow_request|shared_images)|e2e\.rdma\.shm\.disk'
    ctest_step tls 'e2e\.tls|interop\.tls\..*\.x509\.return_path_on|interop\.tls\.(qemu-to-godwit|godwit-to-qemu)\.psk\.return_path_on'
    ctest_step rdma 'e2e\.rdma\.(shm|tcp)\.there_and_back|e2e\.rdma\.shm\.cancel|faults\.rdma\.hostile'
    ctest_step emulated 'e2e\.emulate-to-emulate\.(ping_pong\.max|cancel|disks\.legacy)|e2e\.kvm-to-emulate\.ping_pong\.max'
    ctest_step qemu 'interop\.(qemu-to-godwit|godwit-to-qemu)\.tcp\.return_path_(on|off)|interop\.running\.(tcp|block|xbzrle)\.1cpu|interop\.relay\.qemu-to-godwit\.return_path_on|interop\.refusals'
    ctest_step faults 'faults\.(kill_at_steps|breaking_off|disk_errors|hostile_streams|strays|counts|errors_across)|errors\.provoked'
fi
if [ ${#failed[@]} -gt 0 ]; then
    printf 'sanitize: failed under %s: %s\n' "$preset" "${failed[*]}" >&2
    exit 1
fi
