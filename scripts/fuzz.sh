#!/usr/bin/env bash
# Builds the fuzzers and runs them, two at a time:
#   scripts/fuzz.sh [--runs N | --seconds N] [TARGET...]
# Without a limit each runs for 60 s. Targets: incoming, return_path, vmstate, inspect, relay, qmp, hmp, trace, tls_options, xbzrle, disk_records, rdma. Inputs
# that break a promise come to build/fuzz/findings/; what is new about the code that inputs reach stays in build/fuzz/corpus/ for the next run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

limit=-max_total_time=60
case "${1:-}" in
--runs) limit=-runs=$2 ;;
--seconds) limit=-max_total_time=$2 ;;
-h | --help)
    sed -n '2,5s/^# //p' "$0"
    exit 0
    ;;
esac
case "${1:-}" in --*) shift 2 ;; esac
targets=("$@")
[ $# -gt 0 ] || targets=(incoming return_path vmstate inspect relay qmp hmp trace tls_options xbzrle disk_records rdma)

scripts/build.sh fuzz -DGODWIT_TESTS=ON -- "${targets[@]/#/fuzz-}"
build=build/fuzz
mkdir -p "$build/findings"
export ASAN_OPTIONS=${ASAN_OPTIONS:-strict_string_checks=1:quarantine_size_mb=16}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

# An input may take a second and a claimed number no memory: a hang or an allocation in proportion to it is a finding.
fuzz_one() {
    local target=$1 new=$build/corpus/$1 log=$build/$1.log
    local seeds=("tests/fuzz/corpus/$1") words=tests/fuzz/$1.dict
    if [ "$1" = inspect ]; then # it reads what a destination reads
        seeds+=(tests/fuzz/corpus/incoming)
    elif [ "$1" = relay ]; then
        seeds=(tests/fuzz/corpus/incoming)
        words=tests/fuzz/incoming.dict
    fi
    local options=("$limit" -seed=1 -max_len=65536 -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=192 -print_final_stats=1
        "-artifact_prefix=$build/findings/$1-")
    [ ! -f "$words" ] || options+=("-dict=$words")
    mkdir -p "$new"
    if "$build/tests/fuzz/fuzz-$target" "${options[@]}" "$new" "${seeds[@]}" >"$log" 2>&1 </dev/null; then
        printf '%-12s %s\n' "$target" "$(grep -E '^Done|^#[0-9]+\sDONE' "$log" | tr '\n' ' ')"
    else
        printf '%s: a promise is broken:\n' "$target"
        tail -n 40 "$log"
        return 1
    fi
}

status=0
running=()
for target in "${targets[@]}"; do
    fuzz_one "$target" &
    running+=($!)
    if [ "${#running[@]}" -ge 2 ]; then
        wait "${running[0]}" || status=1
        running=("${running[@]:1}")
    fi
done
for process in "${running[@]}"; do
    wait "$process" || status=1
done
exit "$status"
