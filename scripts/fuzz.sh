#!/usr/bin/env bash
# Builds the fuzzers and runs them:
#   scripts/fuzz.sh [--runs N | --seconds N] [TARGET...]   each for so many inputs or so long (60 s unless told), two at a time
#   scripts/fuzz.sh --hours H [TARGET...]                  in turns of a minute, one at a time, at the lowest priority (of the session)
#   scripts/fuzz.sh --sums                                 what all runs with --hours have done so far
# Targets: those of tests/fuzz/CMakeLists.txt; all unless named. Inputs that break a promise come to build/fuzz/findings/; what is new
# about the code that inputs reach stays in build/fuzz/corpus/ for the next run. --hours has a build and folders of its own, in
# build/fuzz-long/: it checks more and takes longer to compile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=fuzz
limit=-max_total_time=60
hours=
case "${1:-}" in
--runs) limit=-runs=$2 ;;
--seconds) limit=-max_total_time=$2 ;;
--hours)
    preset=fuzz-long
    hours=$2
    ;;
--sums) preset=fuzz-long ;;
-h | --help)
    sed -n '2,8s/^# //p' "$0"
    exit 0
    ;;
esac
build=build/$preset
turns=$build/turns.txt

# A line for each turn: target, inputs, seconds, seconds of processor time, findings.
print_sums() {
    awk '{ inputs[$1] += $2; seconds[$1] += $3; busy[$1] += $4; findings[$1] += $5 }
         END { printf "%-14s %12s %8s %14s %8s\n", "target", "inputs", "time/s", "processor/s", "findings"
               for (t in inputs) {
                   printf "%-14s %12d %8d %14d %8d\n", t, inputs[t], seconds[t], busy[t], findings[t] | "sort"
                   i += inputs[t]; s += seconds[t]; b += busy[t]; f += findings[t]
               }
               close("sort")
               printf "%-14s %12d %8d %14d %8d\n", "all", i, s, b, f }' "$turns"
}
if [ "${1:-}" = --sums ]; then
    print_sums
    exit 0
fi

case "${1:-}" in --*) shift 2 ;; esac
targets=("$@")
if [ $# -gt 0 ]; then
    scripts/build.sh "$preset" -DGODWIT_TESTS=ON -- "${targets[@]/#/fuzz-}"
else
    scripts/build.sh "$preset" -DGODWIT_TESTS=ON -- fuzz-targets
    mapfile -t targets < <(cut -d ' ' -f 1 "$build/tests/fuzz/targets.txt")
fi
mkdir -p "$build/findings"
export ASAN_OPTIONS=${ASAN_OPTIONS:-strict_string_checks=1:quarantine_size_mb=16}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

# Runs a target with these options; what it says comes to a file. An input may take a second and a claimed number no memory: a hang or an
# allocation in proportion to it is a finding.
run_fuzzer() {
    local target=$1 new=$build/corpus/$1 corpora=() words
    read -r -a corpora < <(awk -v target="$target" '$1 == target { $1 = ""; print }' "$build/tests/fuzz/targets.txt")
    words=tests/fuzz/${corpora[0]}.dict
    local options=("${@:2}" -max_len=65536 -timeout=20 -rss_limit_mb=1024 -malloc_limit_mb=192 -print_final_stats=1
        "-artifact_prefix=$build/findings/$target-")
    [ ! -f "$words" ] || options+=("-dict=$words")
    mkdir -p "$new"
    "$build/tests/fuzz/fuzz-$target" "${options[@]}" "$new" "${corpora[@]/#/tests/fuzz/corpus/}" >"$build/$target.log" 2>&1 </dev/null
}

fuzz_one() {
    if run_fuzzer "$1" "$limit" -seed=1; then
        printf '%-12s %s\n' "$1" "$(grep -E '^Done|^#[0-9]+\sDONE' "$build/$1.log" | tr '\n' ' ')"
    else
        printf '%s: a promise is broken:\n' "$1"
        tail -n 40 "$build/$1.log"
        return 1
    fi
}

# One turn of a target, noted in the table. It goes on after a finding, at other inputs.
take_turn() {
    local target=$1 findings=0 inputs begun=$SECONDS busy TIMEFORMAT='%U %S'
    { time run_fuzzer "$target" -max_total_time=60 "-seed=$RANDOM" || findings=1; } 2>"$build/time.txt"
    busy=$(awk '{ print $1 + $2 }' "$build/time.txt")
    inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$target.log")
    if [ "$findings" = 1 ]; then
        printf '%s: a promise is broken; see %s/findings and %s/%s.failed.log\n' "$target" "$build" "$build" "$target"
        cp "$build/$target.log" "$build/$target.failed.log"
    fi
    printf '%s %s %s %s %s\n' "$target" "${inputs:-0}" $((SECONDS - begun)) "$busy" "$findings" >>"$turns"
}

if [ -n "$hours" ]; then
    renice -n 19 $$ >/dev/null
    # Where the kernel shares time out by sessions, that counts within this one alone. What belongs to the session becomes as slow.
    echo 19 2>/dev/null >/proc/self/autogroup || true
    end=$((SECONDS + $(awk -v hours="$hours" 'BEGIN { print int(hours * 3600) }')))
    while [ $SECONDS -lt $end ]; do
        for target in "${targets[@]}"; do
            take_turn "$target"
        done
        print_sums
    done
    awk '$5 > 0 { found = 1 } END { exit found }' "$turns"
    exit
fi

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
