"""Migrations by TLS between godwit and QEMU: who is let in, who is refused, and that every byte arrives."""

import argparse
import pathlib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import pairs, tls  # noqa: E402
from support.processes import Workspace  # noqa: E402
from support.relay import Relay  # noqa: E402

SIZE_MIB = 96
TLS_RECORD_HANDSHAKE = b"\x16\x03"


class Sides:
    """A source and a destination that waits; each has the credentials of a directory of its own, or none."""

    def __init__(self, workspace, arguments):
        self.workspace = workspace
        self.arguments = arguments
        self.credentials = tls.Credentials(workspace, arguments.certificates)
        self.source_kind, self.destination_kind = arguments.direction.split("-to-")
        self.source_memory = workspace.memory_path("source")
        pairs.write_memory(self.source_memory, SIZE_MIB)
        self.source = self.start(self.source_kind, "source", memory_file=self.source_memory)
        self.destination = None
        self.destinations = 0

    def start(self, kind, name, **options):
        if kind == "qemu":
            machine = pairs.start_qemu(self.workspace, name, SIZE_MIB, **options)
            # On a machine that is busy and short of memory a QEMU has taken half a minute over its start and its first object.
            machine.qmp.timeout_s = 90
            return machine
        return pairs.start_godwit(self.workspace, name, self.arguments.program, SIZE_MIB, **options)

    def wait_at(self, directory, incoming="tcp:127.0.0.1:0", authz=None, **more):
        """A new destination, with memory that shows what has not been written."""
        self.destinations += 1
        memory = self.workspace.memory_path("destination")
        if not memory.exists():
            pairs.write_memory(memory, SIZE_MIB, seed=2)
        self.destination = self.start(self.destination_kind, f"destination{self.destinations}", memory_file=memory,
                                      incoming="defer")
        self.credentials.protect(self.destination, directory, "server", **more)
        if authz:
            self.destination.qmp.command("object-add", {"qom-type": "authz-list", "id": "who", "policy": "deny", "rules": authz})
            self.destination.qmp.command("migrate-set-parameters", {"tls-authz": "who"})
        if incoming == "fd:":
            ours, theirs = socket.socketpair()
            with ours, theirs:
                self.source.qmp.pass_fd("stream", ours.fileno())
                self.destination.qmp.pass_fd("stream", theirs.fileno())
            incoming = "fd:stream"
        self.destination.qmp.command("migrate-incoming", {"uri": incoming})
        if incoming == "fd:stream":
            return incoming
        return incoming if incoming.startswith("unix:") else pairs.listening_uri(self.destination)

    def send(self, directory, uri, hostname=""):
        if self.arguments.return_path == "off" or self.source_kind == "qemu":
            pairs.set_capability(self.source, "return-path", self.arguments.return_path == "on")
        if self.source_kind == "qemu":
            self.source.qmp.command("migrate-set-parameters", {"max-bandwidth": 1 << 40})
        self.credentials.protect(self.source, directory, "client")
        self.source.qmp.command("migrate-set-parameters", {"tls-hostname": hostname})
        self.source.qmp.command("migrate", {"uri": uri})

    def expect_moved(self):
        self.source.qmp.wait_migration("completed")
        self.destination.qmp.wait_run_state("running")
        self.destination.qmp.wait_migration("completed")
        assert self.source.qmp.run_state() == "postmigrate", self.source.qmp.run_state()
        pairs.assert_same_memory(self.source, self.destination)

    def expect_refused(self, codes=()):
        figures = self.source.qmp.wait_migration("failed")
        assert self.source.qmp.run_state() == "running", self.source.qmp.run_state()
        if codes and self.source_kind == "godwit":
            assert figures.get("x-godwit-error-code") in codes, figures
        return figures.get("error-desc", "")

    def drop_destination(self):
        self.destination.process.kill()
        self.destination.close()


def moved(sides):
    arguments = sides.arguments
    incoming = {"tcp": "tcp:127.0.0.1:0", "unix": f"unix:{sides.workspace.path('stream')}", "fd": "fd:"}[arguments.transport]
    directory = "keys" if arguments.credentials == "psk" else "good"
    uri = sides.wait_at(directory, incoming)
    sides.send(directory, uri, "" if arguments.transport == "tcp" else "localhost")
    sides.expect_moved()
    print(f"{arguments.direction} with {arguments.credentials} over {arguments.transport}: same memory")


# What: (source, destination, name wanted, codes that a godwit source may give).
REFUSALS = {
    "foreign authority": ("foreign", "good", "", ("tls-certificate", "tls-handshake")),
    "expired destination": ("good", "expired", "", ("tls-certificate",)),
    "early destination": ("good", "early", "", ("tls-certificate",)),
    "another host": ("good", "elsewhere", "", ("tls-certificate",)),
    "another host by name": ("good", "good", "elsewhere.example", ("tls-certificate",)),
    "revoked destination": ("strict", "revoked", "", ("tls-certificate",)),
    "expired source": ("expired", "good", "", ("tls-certificate", "tls-handshake", "peer-closed")),
    "revoked source": ("revoked", "strict", "", ("tls-certificate", "tls-handshake", "peer-closed")),
    "source without certificate": ("anonymous", "good", "", ("tls-certificate", "tls-handshake", "peer-closed")),
    "another key": ("other_keys", "keys", "", ("tls-handshake",)),
    "plaintext source": (None, "good", "", ()),
    "plaintext destination": ("good", None, "", ("tls-handshake", "handshake-timeout")),
    "not welcome": ("good", "good", "", ("tls-denied", "peer-closed", "tls-handshake")),
}


def refused(sides):
    """The guest goes on at its source, which can move to the right destination at the end."""
    for what, (source, destination, hostname, codes) in REFUSALS.items():
        if what == "revoked destination" and sides.source_kind == "qemu":
            continue  # a QEMU's source does not look at the list
        begin = time.monotonic()
        authz = [{"match": "CN=nobody", "policy": "allow"}] if what == "not welcome" else None
        uri = sides.wait_at(destination, authz=authz)
        started = time.monotonic()
        sides.send(source, uri, hostname)
        words = sides.expect_refused(codes)
        assert sides.destination_kind == "qemu" or destination is None or sides.destination.process.is_alive(), what
        took_s = time.monotonic() - started
        print(f"{what}: refused within {took_s:.1f} s, {started - begin:.1f} s after its destination began: {words}", flush=True)
        sides.drop_destination()
    uri = sides.wait_at("good", authz=[{"match": "O=godwit,CN=source", "policy": "allow"}])
    sides.send("good", uri)
    sides.expect_moved()
    print("the right one: moved")


def cut(sides):
    """Reset and truncated connections at several places, then a whole one."""
    for after in (100, 3_000, 1 << 20, 20 << 20):
        uri = sides.wait_at("good")
        port = int(uri.rsplit(":", 1)[1])
        with Relay("127.0.0.1", port, cut_after=after) as relay:
            sides.send("good", f"tcp:127.0.0.1:{relay.port}")
            sides.expect_refused()
        sides.drop_destination()
    uri = sides.wait_at("good")
    tee = sides.workspace.memory_path("tee")
    with Relay("127.0.0.1", int(uri.rsplit(":", 1)[1]), tee=tee) as relay:
        sides.send("good", f"tcp:127.0.0.1:{relay.port}")
        sides.expect_moved()
    with open(tee, "rb") as file:
        stream = file.read()
    assert stream.startswith(TLS_RECORD_HANDSHAKE), stream[:16]
    assert b"QEVM" not in stream, "the stream's magic can be read on its way"
    print(f"cut four times, then moved by {len(stream)} bytes that tell nothing")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--certificates", required=True, help="the program make-certificates")
    parser.add_argument("--direction", required=True, choices=["godwit-to-qemu", "qemu-to-godwit", "godwit-to-godwit"])
    parser.add_argument("--case", default="moved", choices=["moved", "refused", "cut"])
    parser.add_argument("--credentials", default="x509", choices=["x509", "psk"])
    parser.add_argument("--transport", default="tcp", choices=["tcp", "unix", "fd"])
    parser.add_argument("--return-path", default="on", choices=["on", "off"])
    arguments = parser.parse_args()
    with Workspace() as workspace:
        sides = Sides(workspace, arguments)
        {"moved": moved, "refused": refused, "cut": cut}[arguments.case](sides)


main()
