#!/usr/bin/env python3
"""Moves memory with godwit, with QEMU and with a bare socket copy, in turns, and prints medians and their ratios.

Each side keeps its memory in a shared file of /dev/shm, with all pages allocated and mapped before the clock starts. The
destination's file differs from the source's in every page before each move, and is compared with it afterwards. The time of a move
runs from the `migrate` command until both sides have said that they have completed it. See bench/README.md.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from support import guest, machines, processes  # noqa: E402
from support.deadlines import wait_for  # noqa: E402

BUFFER_BYTES = 4 << 20
CALL_BYTES = (64 << 10, 256 << 10, 1 << 20, 4 << 20)
# How a downtime is measured.
BY_EVENTS = "from STOP to RESUME"
BY_THE_MACHINES = "by the machines' clock"
IDLE_GUEST = "working-set=1M rate=10 heartbeat-ms=20"


class Bench:
    """The two memory files and what can be done between them."""

    def __init__(self, options, folder):
        self.options = options
        self.bytes = options.memory_mib << 20
        self.memory = f"{options.memory_mib}M"
        self.source = folder / "source.ram"
        self.destination = folder / "destination.ram"
        build = pathlib.Path(options.build)
        self.bare_copy = options.bare_copy or build / "bench" / "bare_copy"
        self.godwit = options.godwit or build / "bin" / "godwit"
        self.guest = options.guest or build / "guests" / "workload"

    def tool(self, *arguments):
        return subprocess.run([self.bare_copy, *map(str, arguments)], check=True, capture_output=True, text=True).stdout

    def prepare(self):
        self.tool("fill", self.source, self.bytes)
        self.tool("fill", self.destination, self.bytes)

    def bare(self, transport, call_bytes, buffer_bytes):
        """One copy through a socket by two processes that do nothing else; its seconds."""
        self.tool("scrub", self.destination)
        seconds = self.tool("copy", transport, self.source, self.destination, call_bytes, buffer_bytes).split()[0]
        self.tool("compare", self.source, self.destination)
        return float(seconds)

    def start(self, workspace, peer, side, with_guest):
        file = self.source if side == "source" else self.destination
        incoming = "defer" if side == "destination" else None
        kernel = {"kernel": self.guest, "append": IDLE_GUEST} if with_guest else {}
        if peer == "godwit":
            extra = ("--memory-prealloc",) if self.options.prealloc == "on" else ()
            return machines.start_godwit(workspace, side, self.godwit, memory=self.memory, memory_file=file, incoming=incoming, extra=extra,
                                         machine="microvm" if with_guest else "none", **kernel)
        if with_guest:
            return machines.start_qemu(workspace, side, memory=self.memory, memory_file=file, incoming=incoming, **kernel)
        qmp = workspace.path(f"{side}.qmp")
        backend = f"memory-backend-file,id=ram,size={self.memory},mem-path={file},share=on,prealloc={self.options.prealloc}"
        command = [machines.QEMU, "-M", "none,memory-backend=ram", "-m", self.memory, "-nodefaults", "-display", "none",
                   "-object", backend, "-qmp", f"unix:{qmp},server=on,wait=off"]
        command += ["-incoming", incoming] if incoming else []
        return machines.Machine(workspace, side, command, qmp)

    @contextlib.contextmanager
    def pair(self, peer, with_guest):
        """A source and a destination that report the states of a migration; they end with the block."""
        with processes.Workspace() as workspace:
            pair = [self.start(workspace, peer, side, with_guest) for side in ("source", "destination")]
            for machine in pair:
                machine.qmp.command("migrate-set-capabilities", {"capabilities": [{"capability": "events", "state": True}]})
            pair[0].qmp.command("migrate-set-parameters", {"max-bandwidth": 0})
            yield workspace, *pair

    def listen(self, workspace, destination, transport):
        """Lets the destination listen and says where."""
        if transport == "unix":
            uri = f"unix:{workspace.path('migration')}"
            destination.qmp.command("migrate-incoming", {"uri": uri})
            return uri
        destination.qmp.command("migrate-incoming", {"uri": "tcp:127.0.0.1:0"})
        addresses = wait_for(lambda: destination.qmp.migration().get("socket-address"), 10, "the destination's port")
        return f"tcp:127.0.0.1:{addresses[0]['port']}"

    def move(self, peer, transport):
        """One move of memory alone: the seconds until both sides had completed it, and the processor time it took them."""
        self.tool("scrub", self.destination)
        with self.pair(peer, with_guest=False) as (workspace, source, destination):
            uri = self.listen(workspace, destination, transport)
            cpu_before = cpu_seconds(source, destination)
            begin = time.monotonic()
            source.qmp.command("migrate", {"uri": uri})
            end = max(completed(machine).time_s for machine in (source, destination))
            cpu = cpu_seconds(source, destination) - cpu_before
            self.tool("compare", self.source, self.destination)
        return end - begin, cpu

    def downtime(self, peer, transport):
        """One move of an idle guest: by each way of measuring that the peer allows, for how many seconds it stood still."""
        with self.pair(peer, with_guest=True) as (workspace, source, destination):
            guest.wait_ready(source)
            guest.wait_heartbeats(source, 3)
            uri = self.listen(workspace, destination, transport)
            source.qmp.command("migrate", {"uri": uri})
            completed(source)
            seconds = {BY_EVENTS: destination.qmp.wait_event("RESUME").time_s - source.qmp.wait_event("STOP").time_s}
            if peer == "godwit":
                # Both sides tell of the same clock, the monotonic one of this host.
                completed(destination)
                running_at_ns = destination.qmp.migration()["x-godwit-running-at-ns"]
                seconds[BY_THE_MACHINES] = (running_at_ns - source.qmp.migration()["x-godwit-stopped-at-ns"]) / 1e9
            guest.expect_ok(destination)
            return seconds


def cpu_seconds(*those):
    """Processor time that the processes have used so far."""
    total = 0.0
    for machine in those:
        fields = pathlib.Path(f"/proc/{machine.process.pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # user and system
    return total


def completed(machine):
    """The event that tells the end; another end than completion is an error."""
    ends = ("completed", "failed", "cancelled")
    event = machine.qmp.wait_event("MIGRATION", 120, where=lambda data: data.get("status") in ends)
    if event.data["status"] != "completed":
        raise RuntimeError(f"{machine.name}: {machine.qmp.migration()}")
    return event


def run(bench, peers):
    """All measurements, one of each kind after the other, so that a slow minute of the machine meets all of them."""
    seconds, cpu = {}, {}
    for round_number in range(bench.options.rounds):
        print(f"round {round_number + 1} of {bench.options.rounds}", file=sys.stderr)
        for transport in bench.options.transports:
            for call_bytes in CALL_BYTES:
                key = f"{transport} bare {call_bytes >> 10} KiB"
                seconds.setdefault(key, []).append(bench.bare(transport, call_bytes, BUFFER_BYTES))
            seconds.setdefault(f"{transport} bare default", []).append(bench.bare(transport, 1 << 20, 0))
            for peer in peers:
                taken, used = bench.move(peer, transport)
                seconds.setdefault(f"{transport} {peer}", []).append(taken)
                cpu.setdefault(f"{transport} {peer}", []).append(used)
    return {"seconds": seconds, "cpu_seconds": cpu}


def best_bare(seconds, transport):
    keys = [f"{transport} bare {call_bytes >> 10} KiB" for call_bytes in CALL_BYTES]
    return min(keys, key=lambda key: statistics.median(seconds[key]))


def print_table(bench, measured):
    seconds, cpu = measured["seconds"], measured["cpu_seconds"]
    print(f"\n{bench.options.memory_mib} MiB of incompressible memory over loopback, medians of {bench.options.rounds}:\n")
    print("| transport | what | seconds | MB/s | of the best bare copy | of QEMU | spread, seconds | processor seconds |")
    print("|---|---|---:|---:|---:|---:|---|---:|")
    for transport in bench.options.transports:
        best = statistics.median(seconds[best_bare(seconds, transport)])
        qemu = statistics.median(seconds[f"{transport} qemu"]) if f"{transport} qemu" in seconds else None
        for key, times in seconds.items():
            if not key.startswith(transport + " "):
                continue
            median = statistics.median(times)
            against_qemu = f"{qemu / median:.2f}" if qemu else ""
            used = f"{statistics.median(cpu[key]):.2f}" if key in cpu else ""
            print(f"| {transport} | {key[len(transport) + 1:]} | {median:.3f} | {bench.bytes / median / 1e6:.0f} "
                  f"| {best / median:.2f} | {against_qemu} | {min(times):.2f} to {max(times):.2f} | {used} |")


def run_downtimes(bench, peers):
    results = {}
    for _ in range(bench.options.rounds):
        for peer in peers:
            # Booting put the guest into the source's memory, and the move into the destination's: fresh contents for both.
            bench.prepare()
            for way, seconds in bench.downtime(peer, "tcp").items():
                results.setdefault(f"{peer}, {way}", []).append(seconds * 1000)
    return results


def print_downtimes(bench, results):
    print(f"\nDowntime of an idle guest, one virtual CPU, {bench.options.memory_mib} MiB in use, tcp:\n")
    print("| what | median ms | spread ms |")
    print("|---|---:|---|")
    for what, times_ms in results.items():
        print(f"| {what} | {statistics.median(times_ms):.1f} | {min(times_ms):.1f} to {max(times_ms):.1f} |")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memory-mib", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--transports", nargs="+", choices=("tcp", "unix"), default=["tcp", "unix"])
    parser.add_argument("--peers", nargs="+", choices=("godwit", "qemu"), default=["godwit", "qemu"])
    parser.add_argument("--no-downtime", action="store_true", help="leave out the idle guest")
    parser.add_argument("--only-downtime", action="store_true", help="the idle guest alone")
    parser.add_argument("--prealloc", choices=("on", "off"), default="on", help="QEMU maps all pages at its start (%(default)s)")
    parser.add_argument("--build", default=str(ROOT / "build" / "release"))
    for program in ("bare-copy", "godwit", "guest"):
        parser.add_argument(f"--{program}", help="if it is not in the build directory")
    parser.add_argument("--json", help="also write all times to this file")
    return parser.parse_args()


def main():
    options = parse()
    free = shutil.disk_usage("/dev/shm").free
    needed = 2 * (options.memory_mib << 20) + (256 << 20)
    if free < needed:
        print(f"/dev/shm has {free >> 20} MiB free; {needed >> 20} MiB are needed (--memory-mib)", file=sys.stderr)
        return 2
    folder = pathlib.Path(tempfile.mkdtemp(prefix="godwit-bench-", dir="/dev/shm"))
    bench = Bench(options, folder)
    measured = {}
    try:
        if not options.only_downtime:
            bench.prepare()
            measured = run(bench, options.peers)
            print_table(bench, measured)
        if not options.no_downtime:
            measured["downtime_ms"] = run_downtimes(bench, options.peers)
            print_downtimes(bench, measured["downtime_ms"])
    finally:
        shutil.rmtree(folder)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
