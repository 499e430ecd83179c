"""Moving a running guest from one machine to another over each transport."""

import argparse
import os
import pathlib
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position,unused-import
from support import accelerators, guest, machines, rdma, tls  # noqa: E402,F401
from support.deadlines import wait_for  # noqa: E402
from support.processes import Workspace  # noqa: E402,F401

PAGE_BYTES = 4096
MIB = 1 << 20
# Larger guests are filled by the host.
LARGEST_GUEST_FILL_MIB = 64


def argument_parser():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True, help="the godwit program")
    accelerators.add_arguments(parser)
    parser.add_argument("--fill-memory", required=True, help="the program that fills a memory file")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--dirtying", default="paced", choices=["max", "paced"])
    parser.add_argument("--pattern", default="small", choices=["small", "random", "zero", "constant"])
    parser.add_argument("--memory", type=int, default=64, help="guest memory in MiB")
    parser.add_argument("--heartbeat-ms", type=int, default=20)
    parser.add_argument("--certificates", help="the program make-certificates; for transports with TLS")
    parser.add_argument("--engine", default="godwit", choices=["godwit", "qemu"],
                        help="qemu: try the test itself on a known implementation")
    return parser


class Setup:
    """What one kind of guest looks like, on whichever machine it is."""

    def __init__(self, workspace, arguments):
        self.platform = accelerators.Platform(arguments, arguments.cpus)
        self.workspace = workspace
        self.arguments = arguments
        self.memory_mib = arguments.memory
        self.working_set_mib = arguments.memory * 3 // 4
        self.pages = self.working_set_mib * MIB // PAGE_BYTES
        self.host_fills = arguments.memory > LARGEST_GUEST_FILL_MIB
        self.append = (f"working-set={self.working_set_mib}M cpus={arguments.cpus} pattern={arguments.pattern} "
                       f"rate={0 if arguments.dirtying == 'max' else 5000} heartbeat-ms={arguments.heartbeat_ms} "
                       f"fill={'host' if self.host_fills else 'words'}")

    def start(self, name, **options):
        options = {**self.platform.boots(self.append), "memory": f"{self.memory_mib}M", "cpus": self.arguments.cpus, **options}
        if self.engine_of_next() == "qemu":
            return machines.start_qemu(self.workspace, name, **options)
        return self.platform.start(self.workspace, name, **options)

    def engine_of_next(self):
        return self.arguments.engine

    def start_source(self, name="source", **options):
        if self.host_fills:
            options["memory_file"] = self.workspace.memory_path(name)
            subprocess.run([self.arguments.fill_memory, options["memory_file"], f"{self.arguments.memory}M",
                            f"{self.working_set_mib}M", self.arguments.pattern], check=True)
        source = self.start(name, **options)
        guest.wait_ready(source)
        guest.wait_heartbeats(source, 5)
        return source


# Each transport starts a destination and says with which URI the source reaches it.


def _listening_uri(destination, scheme_host):
    def listening():
        addresses = destination.qmp.migration().get("socket-address", [])
        return addresses[0] if addresses else None

    address = wait_for(listening, 30, "the destination listens")
    return f"{scheme_host}:{address['port']}"


def _to_tcp(setup, _, name):
    destination = setup.start(name, incoming="tcp:127.0.0.1:0")
    return destination, _listening_uri(destination, "tcp:127.0.0.1")


def _to_tcp6(setup, _, name):
    destination = setup.start(name, incoming="tcp:[::1]:0")
    return destination, _listening_uri(destination, "tcp:[::1]")


def _to_unix(setup, _, name):
    path = setup.workspace.path(f"{name}.stream")
    destination = setup.start(name, incoming=f"unix:{path}")
    wait_for(path.exists, 30, f"{path} exists")
    return destination, f"unix:{path}"


def _connect_descriptors(source, destination):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        source.qmp.pass_fd("outgoing", ours.fileno())
        destination.qmp.pass_fd("incoming", theirs.fileno())
    destination.qmp.command("migrate-incoming", {"uri": "fd:incoming"})
    return "fd:outgoing"


def _to_fd(setup, source, name):
    destination = setup.start(name, incoming="defer")
    return destination, _connect_descriptors(source, destination)


def _to_exec(setup, _, name):
    fifo = setup.workspace.path(f"{name}.fifo")
    os.mkfifo(fifo)
    return setup.start(name, incoming=f"exec:cat {fifo}"), f"exec:cat > {fifo}"


def _to_rdma(way):
    def start(setup, source, name):
        destination = setup.start(name, incoming="rdma:127.0.0.1:0")
        way.prepare(source)
        return destination, rdma.uri(way, destination)

    return start


def _to_tls(transport, directory):
    def start(setup, source, name):
        credentials = tls.Credentials(setup.workspace, setup.arguments.certificates)
        credentials.protect(source, directory, "client")
        # Sockets without a host's name have to be told whose certificate is wanted.
        source.qmp.command("migrate-set-parameters", {"tls-hostname": "" if transport == "tcp" else "localhost"})
        destination = setup.start(name, incoming="defer")
        credentials.protect(destination, directory, "server")
        if transport == "tcp":
            destination.qmp.command("migrate-incoming", {"uri": "tcp:127.0.0.1:0"})
            return destination, _listening_uri(destination, "tcp:127.0.0.1")
        if transport == "fd":
            return destination, _connect_descriptors(source, destination)
        uri = f"unix:{setup.workspace.path(f'{name}.stream')}"
        destination.qmp.command("migrate-incoming", {"uri": uri})
        return destination, uri

    return start


TRANSPORTS = {"tcp": _to_tcp, "tcp6": _to_tcp6, "unix": _to_unix, "fd": _to_fd, "exec": _to_exec,
              "tls": _to_tls("tcp", "good"), "tls-psk": _to_tls("tcp", "keys"), "tls-unix": _to_tls("unix", "good"),
              "tls-fd": _to_tls("fd", "good"),
              **{f"rdma-{name}": _to_rdma(way) for name, way in rdma.WAYS.items()}}


def _migrate(source, uri, timeout_s, block=False):
    if source.is_qemu:
        source.qmp.command("migrate-set-parameters", {"max-bandwidth": 1 << 40})
    source.qmp.command("migrate", {"uri": uri, **({"blk": True} if block else {})})
    return source.qmp.wait_migration("completed", timeout_s=timeout_s)


def _check_source(source, statistics):
    ram = statistics["ram"]
    assert ram["transferred"] > 0 and ram["total"] > 0 and ram["dirty-sync-count"] >= 1, statistics
    assert statistics["downtime"] <= statistics["total-time"], statistics
    assert source.qmp.run_state() == "postmigrate", source.qmp.run_state()


def move(setup, source, transport, name="destination", timeout_s=120, block=False):
    """Moves the guest live, with `block` its disks too. Returns the destination, where it runs, and the source's figures."""
    destination, uri = TRANSPORTS[transport](setup, source, name)
    statistics = _migrate(source, uri, timeout_s, block)
    destination.qmp.wait_run_state("running", timeout_s=timeout_s)
    _check_source(source, statistics)
    return destination, statistics


def move_through_file(setup, source, name="destination", timeout_s=120):
    """Saves the guest to a file and loads it from there."""
    path = setup.workspace.memory_path(f"{name}.stream")
    outgoing, incoming = f"file:{path}", f"file:{path}"
    if source.is_qemu:
        outgoing, incoming = f"exec:cat > {path}", f"exec:cat {path}"
    statistics = _migrate(source, outgoing, timeout_s)
    _check_source(source, statistics)
    size = path.stat().st_size
    if not source.is_qemu:
        assert statistics["ram"]["transferred"] <= size, (statistics, size)
    destination = setup.start(name, incoming=incoming)
    destination.qmp.wait_run_state("running", timeout_s=timeout_s)
    return destination, statistics


class Silence:
    """Proves that a machine's guest says nothing from now on: it was stopped. Made once the destination's guest has spoken, so
    that what the source's said before its STOP has long been read; had it said more, heartbeats would come twice."""

    def __init__(self, machine):
        self.machine = machine
        machine.qmp.wait_event("STOP")
        self.said = (machine.serial.count(), machine.serial.partial())

    def check(self):
        said = (self.machine.serial.count(), self.machine.serial.partial())
        assert said == self.said, f"{self.machine.name} spoke after its guest had left: {self.machine.serial.lines(self.said[0])}"


def end(machine):
    """Ends a machine in an orderly way and checks its exit status."""
    machine.qmp.command("quit")
    status = machine.process.wait_exit()
    assert status == 0, f"{machine.name} ended with status {status}"


def power_off(setup, machine):
    """Has the guest power itself off."""
    machine.write_serial(b"q")
    status = machine.process.wait_exit()
    assert status == (1 if machine.is_qemu else 0), f"{machine.name} ended with status {status}"
