#!/usr/bin/env python3
"""Moves an idle guest with all its memory in use over rdma: (everything pinned, and registered as it goes) and over tcp:, and measures
what stands beside it: UCX's own put benchmark and memcpy, in turns; prints medians and ratios.

The time of a move runs from the `migrate` command until both sides have said that they have completed it. See bench/README.md.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "bench"))
from comparing.peers import IDLE_GUEST, completed  # noqa: E402
from support import guest, machines, pairs, processes  # noqa: E402
from support.deadlines import wait_for  # noqa: E402

# What UCX may use, as docs/rdma.md says of each transport.
UCX_TLS = {"shm": "tcp,posix,sysv,cma,self", "tcp": "tcp,self", "verbs": "rc,dc,ud"}
# `verbs` needs a device on this host.
DEFAULT_TRANSPORTS = ("shm", "tcp")
# Larger than the processor's caches: a put of one small buffer again and again would never leave them.
PUT_BYTES = 256 << 20


class Bench:
    """The two memory files and what can be done between them."""

    def __init__(self, options, folder):
        self.options = options
        self.bytes = options.memory_mib << 20
        self.source = folder / "source.ram"
        self.destination = folder / "destination.ram"
        build = pathlib.Path(options.build)
        self.bare_copy = build / "bench" / "bare_copy"
        self.godwit = build / "bin" / "godwit"
        self.guest = build / "guests" / "workload"

    def tool(self, *arguments):
        return subprocess.run([self.bare_copy, *map(str, arguments)], check=True, capture_output=True, text=True).stdout

    def prepare(self):
        self.tool("fill", self.source, self.bytes)
        self.tool("fill", self.destination, self.bytes)

    def memcpy(self):
        """Bytes per second."""
        seconds = float(self.tool("memcpy", self.source, self.destination))
        return self.bytes / seconds

    def put_benchmark(self, transport):
        """Bytes per second of ucx_perftest's puts."""
        environment = dict(os.environ, UCX_TLS=UCX_TLS[transport])
        port = str(free_port())
        count = str(max(4, self.bytes // PUT_BYTES))
        server = subprocess.Popen(["ucx_perftest", "-p", port], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            command = ["ucx_perftest", "127.0.0.1", "-p", port, "-t", "ucp_put_bw", "-s", str(PUT_BYTES), "-n", count, "-w", "2", "-f", "-v"]
            output = wait_for(lambda: self.try_put(command, environment), 30, "ucx_perftest's server")
        finally:
            server.kill()
            server.wait()
        # iterations, three latencies, then the average and the overall bandwidth in MB/s (of 2^20 bytes)
        return float(output.strip().splitlines()[-1].split(",")[5]) * (1 << 20)

    @staticmethod
    def try_put(command, environment):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        return done.stdout if done.returncode == 0 and re.search(r"^\s*\d+,", done.stdout, re.MULTILINE) else None

    def start(self, workspace, side):
        file = self.source if side == "source" else self.destination
        incoming = "defer" if side == "destination" else None
        return machines.start_godwit(workspace, side, self.godwit, memory=f"{self.options.memory_mib}M", memory_file=file, incoming=incoming,
                                     extra=("--memory-prealloc",), machine="microvm", kernel=self.guest, append=IDLE_GUEST)

    def move(self, uri, pin_all):
        """What one move took, by both sides' figures."""
        self.prepare()  # booting puts the guest there, and the move before has left another
        with processes.Workspace() as workspace:
            source, destination = (self.start(workspace, side) for side in ("source", "destination"))
            guest.wait_ready(source)
            guest.wait_heartbeats(source, 3)
            for machine in (source, destination):
                pairs.set_capability(machine, "events", True)
            pairs.set_capability(source, "rdma-pin-all", pin_all)
            source.qmp.command("migrate-set-parameters", {"max-bandwidth": 0})
            scheme, _, options = uri.partition(",")
            destination.qmp.command("migrate-incoming", {"uri": f"{scheme}:127.0.0.1:0"})
            address = wait_for(lambda: destination.qmp.migration().get("socket-address"), 10, "the destination's port")[0]
            target = f"{scheme}:127.0.0.1:{address['port']}" + (f",{options}" if options else "")
            begin = time.monotonic()
            source.qmp.command("migrate", {"uri": target})
            end = max(completed(machine).time_s for machine in (source, destination))
            figures = source.qmp.migration()
            running_at_ns = destination.qmp.migration()["x-godwit-running-at-ns"]
            guest.expect_ok(destination)
        rdma = figures.get("rdma", {})
        # What was measured is what was asked for.
        asked = options.partition("transport=")[2] or None
        assert rdma.get("transport") == asked, f"asked for {asked}: {rdma}"
        return {"seconds": end - begin, "setup_s": figures["setup-time"] / 1000,
                "downtime_ms": (running_at_ns - figures["x-godwit-stopped-at-ns"]) / 1e6,
                "transport": rdma.get("transport"), "registrations": rdma.get("registrations"), "registered": rdma.get("registered"),
                "bytes": figures["ram"]["transferred"]}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def works(transports):
    """Name, URI and whether everything is pinned, of each kind of move."""
    for transport in transports:
        yield f"rdma {transport}, pinned", f"rdma,transport={transport}", True
        yield f"rdma {transport}, dynamic", f"rdma,transport={transport}", False
    yield "tcp:", "tcp", False


def run(bench):
    moves, rates = {}, {}
    for round_number in range(bench.options.rounds):
        print(f"round {round_number + 1} of {bench.options.rounds}", file=sys.stderr)
        bench.prepare()
        rates.setdefault("memcpy", []).append(bench.memcpy())
        for transport in bench.options.transports:
            rates.setdefault(f"UCX put {transport}", []).append(bench.put_benchmark(transport))
        for name, uri, pin_all in works(bench.options.transports):
            moves.setdefault(name, []).append(bench.move(uri, pin_all))
    return moves, rates


def median(measured, member):
    values = [one[member] for one in measured if one[member] is not None]
    return statistics.median(values) if values else None


def rate_of(bench, measured):
    """Bytes per second while pages move: without the setup, in which memory is pinned."""
    return statistics.median(bench.bytes / (one["seconds"] - one["setup_s"]) for one in measured)


def print_tables(bench, moves, rates):
    print(f"\nAn idle guest with {bench.options.memory_mib} MiB in use, medians of {bench.options.rounds}:\n")
    print("| what | GB/s | spread |")
    print("|---|---:|---|")
    for name, values in rates.items():
        print(f"| {name} | {statistics.median(values) / 1e9:.2f} | {min(values) / 1e9:.2f} to {max(values) / 1e9:.2f} |")
    memcpy = statistics.median(rates["memcpy"])
    tcp = rate_of(bench, moves["tcp:"])
    print("\n| move | transport | seconds | spread | of it setup | GB/s after setup | of memcpy | of UCX's put | of tcp: | downtime ms | spread ms | registrations |")
    print("|---|---|---:|---|---:|---:|---:|---:|---:|---:|---|---:|")
    for name, measured in moves.items():
        rate = rate_of(bench, measured)
        put = rates.get("UCX put " + name.removeprefix("rdma ").partition(",")[0])
        of_put = f"{rate / statistics.median(put):.2f}" if put else ""
        seconds = [one["seconds"] for one in measured]
        downtimes = [one["downtime_ms"] for one in measured]
        registrations = median(measured, "registrations")
        print(f"| {name} | {measured[0]['transport'] or ''} | {statistics.median(seconds):.3f} | {min(seconds):.2f} to {max(seconds):.2f} | {median(measured, 'setup_s'):.3f} "
              f"| {rate / 1e9:.2f} | {rate / memcpy:.2f} | {of_put} | {rate / tcp:.2f} | {statistics.median(downtimes):.1f} "
              f"| {min(downtimes):.1f} to {max(downtimes):.1f} | {'' if registrations is None else registrations} |")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memory-mib", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--transports", nargs="+", choices=tuple(UCX_TLS), default=list(DEFAULT_TRANSPORTS))
    parser.add_argument("--build", default=str(ROOT / "build" / "release"))
    parser.add_argument("--json", help="also write all figures to this file")
    return parser.parse_args()


def main():
    options = parse()
    machines.need_kvm()
    if shutil.which("ucx_perftest") is None:
        print("ucx_perftest is missing (package ucx-utils)", file=sys.stderr)
        return 2
    free = shutil.disk_usage("/dev/shm").free
    needed = 2 * (options.memory_mib << 20) + (1 << 30)
    if free < needed:
        print(f"/dev/shm has {free >> 20} MiB free; {needed >> 20} MiB are needed (--memory-mib)", file=sys.stderr)
        return 2
    folder = pathlib.Path(tempfile.mkdtemp(prefix="godwit-bench-", dir="/dev/shm"))
    bench = Bench(options, folder)
    try:
        moves, rates = run(bench)
        print_tables(bench, moves, rates)
    finally:
        shutil.rmtree(folder)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"moves": moves, "bytes_per_s": rates}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
