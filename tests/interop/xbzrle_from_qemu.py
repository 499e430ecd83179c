"""A QEMU with the capability xbzrle saves a working guest; `godwit inspect` finds what QEMU counts, and extracts the memory that the
guest had at the end, byte for byte. A QEMU that loads the same stream has it too.

QEMU 7.2 loses writes of a TCG guest now and then when it collects dirty pages while the guest runs: its stream then is older than the
memory, whoever loads it. Under TCG the guest therefore stands still at each collection."""

import argparse
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import guest, machines, memory_compare, pairs  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.processes import Workspace  # noqa: E402

MEMORY = "32M"
# In the second pass QEMU puts these pages into its cache, in the third they are deltas.
WORKING_SET_PAGES = 2048
WORKING_SET_END = (4 << 20) + WORKING_SET_PAGES * 4096
APPEND = "working-set=8M rate=20000 heartbeat-ms=50"
BYTES_PER_S = 20_000_000
UNLIMITED = 1 << 40
ATTEMPTS = 5

SUMMARY = re.compile(r'RAM block "([^"]+)": (\d+) whole pages, (\d+) zero pages(?:, (\d+) XBZRLE deltas of (\d+) bytes)?$', re.MULTILINE)
# QEMU leaves the first 8 bytes of a record out of its count of XBZRLE's bytes.
UNCOUNTED_BYTES = 8


class CollectedTooEarly(Exception):
    """QEMU collected dirty pages while the guest ran."""


def ram(source):
    return source.qmp.migration().get("ram", {"dirty-sync-count": 0, "remaining": 1 << 62})


def stand_still_at(source, remaining_bytes, collections):
    """Stops the guest when this much of a pass is left, and waits for the collection that follows the pass."""
    wait_for(lambda: ram(source)["remaining"] <= remaining_bytes, 60, "the pass comes to its end", poll_s=0.001)
    source.qmp.command("stop")
    if ram(source)["dirty-sync-count"] != collections:
        raise CollectedTooEarly
    wait_for(lambda: ram(source)["dirty-sync-count"] > collections, 60, "dirty pages are collected", poll_s=0.001)


def work_between_collections(source):
    """Three passes, the guest at work during the first two."""
    total = wait_for(lambda: ram(source).get("total"), 60, "the migration is active", poll_s=0.001)
    # QEMU sends a burst of 2 MB every 100 ms: this much of the working set is left after the last burst but one. What lies above is
    # zeros and takes no time.
    rest = 2 << 20
    stand_still_at(source, total - WORKING_SET_END + rest, collections=1)
    source.qmp.command("cont")
    stand_still_at(source, rest, collections=2)


def work_throughout(source):
    wait_for(lambda: ram(source)["dirty-sync-count"] >= 6 or source.qmp.migration()["status"] == "completed", 60, "several passes")
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": UNLIMITED, "downtime-limit": 2000})


def save(workspace, arguments, attempt):
    """Returns the source, with its guest stopped for good, and the stream."""
    source = machines.start_qemu(workspace, f"source{attempt}", kernel=arguments.workload, append=APPEND, memory=MEMORY,
                                 accel=arguments.accel, memory_file=workspace.memory_path(f"source{attempt}"))
    source.memory_file = workspace.memory_path(f"source{attempt}")
    saved = workspace.memory_path(f"saved{attempt}")
    guest.wait_ready(source)
    guest.wait_heartbeats(source, 2)
    pairs.set_capability(source, "xbzrle", True)
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": BYTES_PER_S, "downtime-limit": 1})
    # TCG's dirty log begins with the migration: a collection too.
    tcg = arguments.accel == "tcg"
    if tcg:
        source.qmp.command("stop")
    source.qmp.command("migrate", {"uri": f"exec:cat > {saved}.part && mv {saved}.part {saved}"})
    if tcg:
        wait_for(lambda: ram(source)["dirty-sync-count"] >= 1, 60, "the migration has begun", poll_s=0.001)
        source.qmp.command("cont")
        work_between_collections(source)
    else:
        work_throughout(source)
    figures = source.qmp.wait_migration("completed")
    wait_for(saved.exists, 30, "the stream is complete")
    return source, saved, figures


def check_counts(summary, figures):
    blocks = SUMMARY.findall(summary)
    whole, zero, deltas, delta_bytes = (sum(int(block[i] or 0) for block in blocks) for i in range(1, 5))
    counted, cache = figures["ram"], figures["xbzrle-cache"]
    assert (whole, zero) == (counted["normal"], counted["duplicate"]), (blocks, counted)
    # QEMU's pages are those that it compared: also what was unchanged then, and what became no delta.
    assert WORKING_SET_PAGES // 4 < deltas <= cache["pages"] - cache["overflow"], (blocks, cache)
    assert delta_bytes - deltas * UNCOUNTED_BYTES == cache["bytes"], (blocks, cache)
    print(f"{whole} whole pages, {zero} zero pages, {deltas} deltas; {counted['dirty-sync-count']} collections")


def check(workspace, arguments, source, saved, figures):
    directory = workspace.memory_path("extracted")
    workspace.on_exit(lambda: pairs.run_checked(["rm", "-rf", directory]))
    found = pairs.run_checked([arguments.program, "inspect", saved, "--extract", directory], capture_output=True, text=True)
    check_counts(found.stdout, figures)
    extracted = directory / "microvm.ram.ram"
    assert extracted.stat().st_blocks * 512 < 24 << 20, "zero pages take no space"
    # Both before the verdict: they tell whose mistake it is.
    destination = machines.start_qemu(workspace, "destination", kernel=arguments.workload, append=APPEND, memory=MEMORY,
                                      accel=arguments.accel, memory_file=workspace.memory_path("destination"), paused=True,
                                      incoming=f"exec:cat {saved}")
    destination.qmp.wait_migration("completed")
    memory_compare.assert_equal(workspace.memory_path("destination"), extracted)
    memory_compare.assert_equal(source.memory_file, extracted)
    check_against_whole_pages(workspace, arguments, destination, saved)


def check_against_whole_pages(workspace, arguments, destination, saved):
    """The same memory saved again without deltas is the same to `godwit diff`, and both are good to `godwit verify`."""
    plain = workspace.memory_path("plain")
    destination.qmp.command("migrate", {"uri": f"exec:cat > {plain}.part && mv {plain}.part {plain}"})
    destination.qmp.wait_migration("completed")
    wait_for(plain.exists, 30, "the stream is complete")
    for stream in (saved, plain):
        pairs.run_checked([arguments.program, "verify", stream])
    pairs.run_checked([arguments.program, "diff", saved, plain, "--ignore", "globalstate", "--ignore", "kvmclock", "--temporary",
                       workspace.directory])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--workload", required=True)
    parser.add_argument("--accel", choices=["tcg", "kvm"], default="tcg")
    arguments = parser.parse_args()
    if arguments.accel == "kvm":
        machines.need_kvm()
    with Workspace() as workspace:
        for attempt in range(ATTEMPTS):
            try:
                saved = save(workspace, arguments, attempt)
            except CollectedTooEarly:
                print("QEMU collected dirty pages before the guest stood still: again")
                continue
            check(workspace, arguments, *saved)
            return
        raise AssertionError(f"the guest could not be stopped in time {ATTEMPTS} times")


main()
