#!/usr/bin/env bash
# Configures and builds a preset: scripts/build.sh PRESET [CMAKE OPTION...] [-- TARGET...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=$1
shift
options=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    options+=("$1")
    shift
done
[ $# -eq 0 ] || shift
targets=()
[ $# -eq 0 ] || targets=(--target "$@")

log=build/$preset/configure.log
mkdir -p "build/$preset"
printf 'Configuring build/%s\n' "$preset"
cmake --preset "$preset" "${options[@]}" >"$log" 2>&1 </dev/null || {
    cat "$log" >&2
    printf 'build: cmake could not configure the preset %s\n' "$preset" >&2
    exit 1
}
printf 'Building build/%s\n' "$preset"
# A compiler of this code takes up to a gigabyte: no more of them than memory allows, nor than processors.
memory_gb=$(awk '/^MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)
jobs=$(nproc)
[ "$jobs" -le "$memory_gb" ] || jobs=$((memory_gb > 1 ? memory_gb : 1))
NINJA_STATUS='[%f/%t %es] ' cmake --build "build/$preset" --parallel "$jobs" "${targets[@]}" </dev/null
