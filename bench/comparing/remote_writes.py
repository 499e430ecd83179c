"""Rows about RDMA: an idle guest with all its memory in use, beside tcp:, memcpy between the same files, and UCX's own put benchmark."""

import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess

from support import guest
from support.deadlines import wait_for

from . import peers
from .engine import Work
from .records import GODWIT, Record, times_better
from .setting import GIB, MIB, size_text

MEMCPY = "memcpy"
PUT = "UCX put"
TCP = "tcp:"
# What UCX may use, as docs/rdma.md says of each transport.
UCX_TLS = {"shm": "tcp,posix,sysv,cma,self", "tcp": "tcp,self", "verbs": "rc,dc,ud"}
DEVICES = pathlib.Path("/sys/class/infiniband")
# Larger than the processor's caches: a put of one small buffer again and again would never leave them.
PUT_BYTES = 256 << 20
SIZE = 4 * GIB
QUICK_SIZE = 256 * MIB


class RemoteWrites(Work):
    """One of UCX's transports; godwit with everything pinned, and registering as it goes."""

    needs_kvm = True
    DYNAMIC = "dynamic"
    parties = (GODWIT, DYNAMIC, TCP, MEMCPY, PUT)

    def __init__(self, size, transport):
        self.size, self.transport = size, transport
        self.names = tuple(f"rdma-{transport}-{kind}{what}" for what in ("", "-downtime") for kind in ("pinned", "dynamic"))
        self.file_bytes = 2 * size

    def reason_to_skip(self):
        if shutil.which("ucx_perftest") is None:
            return "ucx_perftest is missing (package ucx-utils)"
        if self.transport == "verbs" and not (DEVICES.is_dir() and any(DEVICES.iterdir())):
            return "there is no RDMA device"
        return super().reason_to_skip()

    def measure(self, setting, party):
        """Bytes per second, of a move while pages move: without the setup, in which memory is pinned; and its downtime."""
        setting.fill_both(self.size)  # booting puts the guest there, and the move before has left another
        if party == MEMCPY:
            return {"rate": self.size / float(setting.tool("memcpy", setting.source, setting.destination))}
        if party == PUT:
            return {"rate": put_benchmark(self.transport, self.size)}
        if party == TCP:
            return self._move(setting, "tcp", False)
        return self._move(setting, f"rdma,transport={self.transport}", party == GODWIT)

    def _move(self, setting, uri, pin_all):
        with peers.pair(setting, GODWIT, memory=self.size, append=peers.IDLE_GUEST, capabilities=("rdma-pin-all",) if pin_all else ()) as pair:
            pair.wait_guest()
            scheme, _, options = uri.partition(",")
            pair.destination.qmp.command("migrate-incoming", {"uri": f"{scheme}:127.0.0.1:0"})
            address = wait_for(lambda: pair.destination.qmp.migration().get("socket-address"), 10, "the destination's port")[0]
            seconds = pair.move(f"{scheme}:127.0.0.1:{address['port']}" + (f",{options}" if options else ""))
            figures = pair.source.qmp.migration()
            downtime_ms = pair.own_downtime_s() * 1000
            guest.expect_ok(pair.destination)
        rdma = figures.get("rdma", {})
        # What was measured is what was asked for.
        asked = options.partition("transport=")[2] or None
        if rdma.get("transport") != asked:
            raise RuntimeError(f"asked for {asked}: {rdma}")
        setup_s = figures["setup-time"] / 1000
        return {"rate": self.size / (seconds - setup_s), "seconds": seconds, "setup_s": setup_s, "downtime_ms": downtime_ms,
                "registrations": rdma.get("registrations")}

    def records(self, samples):
        def of(member, party, scale=1.0):
            return [one[member] * scale for one in samples[party]]

        # The aims are those of memory that both processes reach.
        aims = [times_better(0.5, MEMCPY), times_better(2.5, TCP), times_better(0.9, PUT)] if self.transport != "tcp" else []
        rates, downtimes = [], []
        for party, kind in ((GODWIT, "pinned"), (self.DYNAMIC, "dynamic")):
            values = {GODWIT: of("rate", party, 1e-9), **{other: of("rate", other, 1e-9) for other in (TCP, MEMCPY, PUT)}}
            what = f"rdma over {self.transport}, {kind}, idle guest with {size_text(self.size)}"
            notes = [f"{statistics.median(of('seconds', party)):.3f} s in all, {statistics.median(of('setup_s', party)):.3f} s of it setup",
                     f"{statistics.median(of('registrations', party)):.0f} registrations"]
            rates.append(Record(f"rdma-{self.transport}-{kind}", f"{what}: rate after setup", "GB/s", values, aims, better="higher", notes=notes))
            downtimes.append(Record(f"rdma-{self.transport}-{kind}-downtime", f"{what}: downtime", "ms",
                                    {GODWIT: of("downtime_ms", party), TCP: of("downtime_ms", TCP)}))
        return rates + downtimes


def put_benchmark(transport, size):
    """Bytes per second of ucx_perftest's puts."""
    environment = dict(os.environ, UCX_TLS=UCX_TLS[transport])
    port = str(free_port())
    with subprocess.Popen(["ucx_perftest", "-p", port], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            command = ["ucx_perftest", "127.0.0.1", "-p", port, "-t", "ucp_put_bw", "-s", str(PUT_BYTES), "-n", str(max(4, size // PUT_BYTES)),
                       "-w", "2", "-f", "-v"]
            output = wait_for(lambda: try_put(command, environment), 30, "ucx_perftest's server")
        finally:
            server.kill()
    # iterations, three latencies, then the average and the overall bandwidth in MB/s (of 2^20 bytes)
    return float(output.strip().splitlines()[-1].split(",")[5]) * MIB


def try_put(command, environment):
    """What it prints, or None while the server is not there."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout if done.returncode == 0 and re.search(r"^\s*\d+,", done.stdout, re.MULTILINE) else None


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def works(quick):
    return [RemoteWrites(QUICK_SIZE if quick else SIZE, transport) for transport in UCX_TLS]
