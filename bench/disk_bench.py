#!/usr/bin/env python3
"""Moves a guest with a half-allocated raw disk by godwit, by QEMU and by a bare copy of the file, in turns; prints medians and ratios.

The time of a move runs from the `migrate` command until both sides have said that they have completed it; then the images are
compared. See bench/README.md.
"""

import argparse
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
from support import disks, guest, machines, pairs, processes  # noqa: E402

BUFFER_BYTES = 4 << 20
MEMORY = "64M"
GUESTS = {"idle": "working-set=1M rate=10 heartbeat-ms=20", "writing": "working-set=1M rate=10 heartbeat-ms=20 disk=1 disk-span=64M"}


class Bench:
    """The two images and what can be done between them."""

    def __init__(self, options, folder):
        self.options = options
        self.source = folder / "source.img"
        self.destination = folder / "destination.img"
        self.bytes = options.size_mib << 20
        build = pathlib.Path(options.build)
        self.copier = build / "bench" / "bare_disk_copy"
        self.godwit = build / "bin" / "godwit"
        self.guest = build / "guests" / "workload"

    def fill(self):
        subprocess.run([self.copier, "fill", self.source, str(self.bytes), str(self.options.allocated_percent)], check=True)

    def clear_destination(self):
        self.destination.unlink(missing_ok=True)
        with open(self.destination, "wb") as file:
            file.truncate(self.bytes)

    def bare(self, transport):
        """Seconds of one copy."""
        self.clear_destination()
        command = [self.copier, "copy", transport, self.source, self.destination, str(BUFFER_BYTES)]
        seconds = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0])
        disks.assert_same(self.source, self.destination)
        return seconds

    def start(self, workspace, peer, side, append):
        image = self.source if side == "source" else self.destination
        options = {"kernel": self.guest, "append": append, "memory": MEMORY, "incoming": "defer" if side == "destination" else None}
        if peer == "godwit":
            return machines.start_godwit(workspace, side, self.godwit, extra=("--disk", f"id=d0,file={image}"), **options)
        extra = ("-drive", f"if=none,id=d0,file={image},format=raw", "-device", "virtio-blk-device,drive=d0")
        return machines.start_qemu(workspace, side, extra=extra, **options)

    def move(self, peer, transport, append):
        """Seconds, the bytes of the stream and the downtime of one move."""
        self.clear_destination()
        with processes.Workspace() as workspace:
            source = self.start(workspace, peer, "source", append)
            destination = self.start(workspace, peer, "destination", append)
            guest.wait_ready(source)
            for machine in (source, destination):
                pairs.set_capability(machine, "events", True)
            pairs.set_capability(source, "zero-blocks", True)
            # Not 0: QEMU 7.2 sends nothing of a disk then. And with its default limit of 300 ms and such a bandwidth it says that it
            # has completed when it has sent a part of the disk.
            source.qmp.command("migrate-set-parameters", {"max-bandwidth": 1 << 40, "downtime-limit": 20})
            uri = f"unix:{workspace.path('migration')}" if transport == "unix" else "tcp:127.0.0.1:0"
            destination.qmp.command("migrate-incoming", {"uri": uri})
            uri = pairs.listening_uri(destination) if transport == "tcp" else uri
            begin = time.monotonic()
            source.qmp.command("migrate", {"uri": uri, "blk": True})
            end = max(completed(machine).time_s for machine in (source, destination))
            figures = source.qmp.migration()
            guest.expect_ok(destination)
            for machine in (destination, source):
                machine.qmp.command("quit")
                machine.process.wait_exit()
        if "disk=" not in append:
            disks.assert_same(self.source, self.destination)
        # The figure of memory is that of the whole stream.
        return {"seconds": end - begin, "wire_bytes": figures["ram"]["transferred"], "downtime_ms": figures["downtime"]}


def completed(machine):
    """The event that tells the end; another end than completion is an error."""
    ends = ("completed", "failed", "cancelled")
    event = machine.qmp.wait_event("MIGRATION", 300, where=lambda data: data.get("status") in ends)
    if event.data["status"] != "completed":
        raise RuntimeError(f"{machine.name}: {machine.qmp.migration()}")
    return event


def run(bench):
    results = {}
    for round_number in range(bench.options.rounds):
        print(f"round {round_number + 1} of {bench.options.rounds}", file=sys.stderr)
        for transport in bench.options.transports:
            bench.fill()  # a guest that writes has changed it
            results.setdefault((transport, "bare copy", ""), []).append({"seconds": bench.bare(transport)})
            for work in bench.options.guests:
                for peer in bench.options.peers:
                    bench.fill()
                    results.setdefault((transport, peer, work), []).append(bench.move(peer, transport, GUESTS[work]))
    return results


def median(measured, member):
    return statistics.median(one[member] for one in measured)


def print_table(bench, results):
    allocated = disks.allocated_bytes(bench.source)
    print(f"\nA raw disk of {bench.options.size_mib} MiB, {allocated >> 20} MiB of it allocated, medians of {bench.options.rounds}:\n")
    print("| transport | what | guest | seconds | MB/s | of the bare copy | of QEMU | spread, seconds | wire bytes, of allocated | downtime ms |")
    print("|---|---|---|---:|---:|---:|---:|---|---:|---:|")
    for (transport, what, work), measured in results.items():
        seconds = median(measured, "seconds")
        bare = median(results[transport, "bare copy", ""], "seconds")
        qemu = results.get((transport, "qemu", work))
        of_qemu = f"{median(qemu, 'seconds') / seconds:.2f}" if qemu else ""
        spread = f"{min(m['seconds'] for m in measured):.2f} to {max(m['seconds'] for m in measured):.2f}"
        wire = f"{median(measured, 'wire_bytes') / allocated:.4f}" if "wire_bytes" in measured[0] else ""
        downtime = f"{median(measured, 'downtime_ms')}" if "downtime_ms" in measured[0] else ""
        print(f"| {transport} | {what} | {work} | {seconds:.3f} | {allocated / seconds / 1e6:.0f} | {bare / seconds:.2f} | {of_qemu} "
              f"| {spread} | {wire} | {downtime} |")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size-mib", type=int, default=4096)
    parser.add_argument("--allocated-percent", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--transports", nargs="+", choices=("tcp", "unix"), default=["tcp", "unix"])
    parser.add_argument("--peers", nargs="+", choices=("godwit", "qemu"), default=["godwit", "qemu"])
    parser.add_argument("--guests", nargs="+", choices=tuple(GUESTS), default=list(GUESTS))
    parser.add_argument("--folder", default="/dev/shm", help="where the images lie (%(default)s)")
    parser.add_argument("--build", default=str(ROOT / "build" / "release"))
    parser.add_argument("--json", help="also write all figures to this file")
    return parser.parse_args()


def main():
    options = parse()
    machines.need_kvm()
    needed = 2 * (options.size_mib << 20) * options.allocated_percent // 100 + (256 << 20)
    free = shutil.disk_usage(options.folder).free
    if free < needed:
        print(f"{options.folder} has {free >> 20} MiB free; {needed >> 20} MiB are needed (--size-mib)", file=sys.stderr)
        return 2
    folder = pathlib.Path(tempfile.mkdtemp(prefix="godwit-bench-", dir=options.folder))
    bench = Bench(options, folder)
    try:
        results = run(bench)
        print_table(bench, results)
    finally:
        shutil.rmtree(folder)
    if options.json:
        named = {" ".join(key): value for key, value in results.items()}
        pathlib.Path(options.json).write_text(json.dumps(named, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
