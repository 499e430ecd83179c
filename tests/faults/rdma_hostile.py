"""Whatever a connection over RDMA begins with, it ends in one clear error: the destination exits with status 1 or goes on waiting, the
source's machine runs on, nobody crashes, hangs or takes much memory. Without a guest. The messages that follow: rdma_hostile_messages.py."""

import contextlib
import ctypes
import os
import pathlib
import socket
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import pairs, rdma  # noqa: E402
from support import rdma_wire as wire  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.processes import Workspace  # noqa: E402
from support.rdma_victims import expect_end, expect_runs_on, run_cases  # noqa: E402

WAY = rdma.WAYS["shm"]


# Connections that are none of RDMA.
STRAYS = {"nothing": b"", "garbage": bytes(range(128, 256)) * 20, "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
          "a tcp: stream": b"QEVM\0\0\0\3\7\0\0\0\4none", "TLS": bytes.fromhex("1603010200010001fc0303")}


def strays(victims):
    with Workspace() as workspace, contextlib.ExitStack() as stack:
        destination, port = victims.destination(workspace)
        for name, data in STRAYS.items():
            with socket.create_connection(("127.0.0.1", port), 5) as stray:
                stray.sendall(data)
                if name == "nothing":
                    continue
                with contextlib.suppress(ConnectionResetError):
                    assert stray.recv(100) == b"", f"{name} got an answer"
        wire.reset(socket.create_connection(("127.0.0.1", port), 5))
        slow = stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
        slow.sendall(b"GWR")
        source = victims.source(workspace)
        source.qmp.command("migrate", {"uri": WAY.uri(port)})
        source.qmp.wait_migration("completed")
        destination.qmp.wait_run_state("running")
        pairs.assert_same_memory(source, destination)
        assert "a migration that was started with tcp:" in destination.process.stderr(), destination.process.stderr()
    print(f"{len(STRAYS) + 2} strays: ignored", flush=True)


# Hellos from no source: the bytes, and what the log says of them and the answer too, if one comes.
HELLOS = {"half a hello": (wire.hello()[:30], None), "only the magic": (wire.MAGIC, None),
          "version 0": (wire.hello(version=0), "version 0"), "version 99": (wire.hello(version=99), "version 99"),
          "an unknown transport": (wire.hello(transport=4), "transport 4"), "a refusal": (wire.hello(refusal=1), "a refusal from the source"),
          "a huge tail": (wire.hello(tail_bytes=0xffffffff), "4294967295 bytes follow"),
          "garbage after the magic": (wire.MAGIC + b"\xff" * (wire.HELLO_BYTES - 4), "version 4294967295")}


def hellos(victims):
    """Who does not say hello as a source does is a stray."""
    with Workspace() as workspace, contextlib.ExitStack() as stack:
        destination, port = victims.destination(workspace)
        for name, (data, words) in HELLOS.items():
            peer = stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
            peer.sendall(data)
            if words is not None:
                *_, refusal, text = wire.receive_hello(peer)
                assert refusal and words in text.decode(), (name, refusal, text)
                destination.process.wait_stderr(words)
        # Those that say no more are still there.
        source = victims.source(workspace)
        source.qmp.command("migrate", {"uri": WAY.uri(port)})
        source.qmp.wait_migration("completed")
        destination.qmp.wait_run_state("running")
        pairs.assert_same_memory(source, destination)
    with Workspace() as workspace:
        destination, port = victims.destination(workspace)
        with socket.create_connection(("127.0.0.1", port), 5) as peer:
            peer.sendall(wire.hello())
            expect_end(destination, "a hello and silence")
    with Workspace() as workspace:
        _, port = victims.destination(workspace)
        with socket.create_connection(("127.0.0.1", port), 5) as peer:
            peer.sendall(wire.hello(flags=0xffffffff))
            version, flags, transport, refusal, tail = wire.receive_hello(peer)
            assert (version, flags, transport, refusal) == (1, 1, wire.SHM, 0) and tail, (flags, refusal, tail)
    print(f"{len(HELLOS)} bad hellos: strays; silence after a good one is an error, unknown flags are left out", flush=True)


def own_address(memory, secret):
    """This process as the destination within the host; the source looks whether `memory` holds the secret."""
    started = int(pathlib.Path("/proc/self/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[19])
    place = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return struct.pack(">IIQQ", 0x474d5650, os.getpid(), started, place) + secret


# Answers of a destination to a source's hello.
ANSWERS = {"garbage": (b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(100), "does not speak RDMA"),
           "an end": (b"", "closed"), "half an answer": (wire.hello()[:20], "closed"),
           "version 0": (wire.hello(version=0, tail=b"x"), "version 0"), "version 99": (wire.hello(version=99, tail=b"x"), "version 99"),
           "another transport": (wire.hello(transport=2, tail=b"x"), "transport 2"), "no transport": (wire.hello(transport=0, tail=b"x"), "transport 0"),
           "no address": (wire.hello(), "address of 0 bytes"), "an address too long": (wire.hello(tail=bytes(4097)), "address of 4097"),
           "an endless address": (wire.hello(tail_bytes=0xffffffff), "address of 4294967295"),
           "a false address": (wire.hello(tail=b"\xff" * 24), "makes no sense"),
           "an address of nobody": (wire.hello(tail=struct.pack(">IIQQ", 0x474d5650, 0x7ffffff0, 1, 4096) + bytes(32)), "cannot be found"),
           "an address of somebody else": (wire.hello(tail=own_address(bytearray(b"A" * 32), b"B" * 32)), "is not the destination"),
           "a refusal": (wire.hello(refusal=1, tail=b"no \x1b[31mway\n"), "refused: no"),
           "a refusal too long": (wire.hello(refusal=1, tail=bytes(2000)), "refusal of 2000"),
           "an endless refusal": (wire.hello(refusal=1, tail_bytes=0xffffffff), "a refusal of")}


def answers(victims):
    with Workspace() as workspace, socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        source = victims.source(workspace)
        for name, (data, word) in ANSWERS.items():
            source.qmp.command("migrate", {"uri": WAY.uri(server.getsockname()[1])})
            with server.accept()[0] as peer:
                wire.receive(peer, wire.HELLO_BYTES)
                # The source may have given up before all of it is sent.
                with contextlib.suppress(OSError):
                    peer.sendall(data)
                    peer.shutdown(socket.SHUT_WR)
                said = expect_runs_on(source, name)
            assert word in said and said.isprintable(), f"{name}: {said!r}"
        source.qmp.command("migrate", {"uri": WAY.uri(server.getsockname()[1])})
        with server.accept()[0]:
            assert "in time" in expect_runs_on(source, "no answer")
    print(f"{len(ANSWERS) + 1} answers to a hello: an error each", flush=True)


def never_reads(victims):
    """A peer that says that it lives and reads nothing: a cancel takes effect at once, and the deadline ends it."""
    with Workspace() as workspace, socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        source = victims.source(workspace)
        source.qmp.command("migrate-set-parameters", {"idle-timeout": 5000})
        for end in ("cancelled", "failed"):
            source.qmp.command("migrate", {"uri": WAY.uri(server.getsockname()[1])})
            with server.accept()[0] as peer:
                took_s, figures = unread(source, peer, end)
            print(f"a destination that never reads: {end} after {took_s:.1f} s", flush=True)
        assert figures["x-godwit-error-code"] == "idle-timeout", figures
        assert source.qmp.run_state() == "running"


def unread(source, peer, end):
    wire.receive(peer, wire.HELLO_BYTES)
    secret = bytearray(b"open sesame, said the forty...  ")
    peer.sendall(wire.hello(tail=own_address(secret, bytes(secret))))
    assert wire.receive_message(peer)[0] == wire.READY
    peer.sendall(wire.message(wire.HEARTBEAT))
    begin = time.monotonic()
    if end == "cancelled":
        source.qmp.command("migrate_cancel")

    def over():
        with contextlib.suppress(OSError):
            peer.sendall(wire.message(wire.HEARTBEAT))
        figures = source.qmp.migration()
        return figures if figures["status"] == end else None

    figures = wait_for(over, 1 if end == "cancelled" else 8, "the source gives up", poll_s=0.05)
    return time.monotonic() - begin, figures


run_cases(strays, hellos, answers, never_reads)
