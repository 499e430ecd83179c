"""Codes that come of what the other side of a connection does, or does not."""

import contextlib
import pathlib
import signal
import socket
import struct
import threading

from support import machines, memory_limit, pairs, rdma
from support.deadlines import wait_for
from support.relay import Relay

from ground import SIZE_MIB, assert_unharmed, fails, failed, refuses, set_parameters
from told import by_migration

HOST = "127.0.0.1"
SHORT_MS = 200
PATIENT_MS = 30_000
RETURN_PATH_SHUT = 1


def uri_of(listener):
    return f"tcp:{HOST}:{listener.getsockname()[1]}"


def connect(ground):
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        return fails(ground.source(), uri_of(taken), uri_of(taken).removeprefix("tcp:"), "Connection refused")


def connect_timeout(ground):
    """A listener whose queue is full: the kernel does not answer."""
    source = ground.source()
    set_parameters(source, connect_timeout=SHORT_MS)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((HOST, 0), backlog=0))
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        return fails(source, uri_of(listener), uri_of(listener).removeprefix("tcp:"), "timed out")


def handshake_timeout(ground):
    """Somebody listens, but says nothing."""
    source = ground.source()
    set_parameters(source, handshake_timeout=SHORT_MS)
    with socket.create_server((HOST, 0)) as silent:
        return fails(source, uri_of(silent), "did not answer the greeting")


def idle_timeout(ground):
    """A connection that stands still in the middle."""
    source, destination = ground.source(), ground.destination()
    set_parameters(source, idle_timeout=1000)
    with Relay(HOST, pairs.listening_port(destination), stall_after=1 << 20) as relay:
        return fails(source, f"tcp:{HOST}:{relay.port}", "destination does not take", "idle-timeout")


def stopped_at(ground, step, deadline_ms):
    """A pair whose destination stops at a step of the handover, and the source that waits for it."""
    source = ground.source()
    destination = ground.destination(extra=("--test-stop-at", step))
    set_parameters(source, switchover_timeout=deadline_ms)
    source.qmp.command("migrate", {"uri": pairs.listening_uri(destination)})
    wait_for(lambda: pathlib.Path(f"/proc/{destination.process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] == "T",
             10, "the destination stops")
    return source, destination


def switchover_timeout(ground):
    source, _ = stopped_at(ground, "destination-received", 1000)
    return failed(source, "did not finish loading", "switchover deadline")


def talk(said):
    """A listener with one client, to which these bytes are said before the connection ends."""
    listener = socket.create_server((HOST, 0))

    def serve():
        with contextlib.suppress(OSError), listener, listener.accept()[0] as client:
            client.recv(4)
            client.sendall(said)
            client.shutdown(socket.SHUT_WR)
            while client.recv(1 << 20):
                pass

    threading.Thread(target=serve, daemon=True).start()
    return uri_of(listener)


def peer_closed(ground):
    return fails(ground.source(), talk(b""), "destination closed the connection", "log")


def peer_failed(ground):
    """It says that it failed, but not why, as a QEMU does."""
    return fails(ground.source(), talk(struct.pack(">HHI", RETURN_PATH_SHUT, 4, 1)), "the destination reports", "log")


def preflight_mismatch(ground):
    destination = ground.destination(size_mib=2 * SIZE_MIB)
    told = fails(ground.source(), pairs.listening_uri(destination), SIZE_MIB << 20, 2 * SIZE_MIB << 20, "--memory")
    assert destination.process.wait_exit() == 1
    return told


def handover_unknown(ground):
    """The destination dies after it was told that the guest is its."""
    source = ground.source()
    destination = ground.destination(extra=("--test-kill-at", "destination-committed"))
    source.qmp.command("migrate", {"uri": pairs.listening_uri(destination)})
    figures = source.qmp.wait_migration("failed")
    assert source.qmp.run_state() == "paused", source.qmp.run_state()
    assert destination.process.wait_exit() == -signal.SIGKILL
    source.qmp.command("cont", {"force": True})
    assert_unharmed(source)
    return by_migration(figures, "destination", "godwit own")


def ownership_gone(ground):
    source, destination = ground.source(), ground.destination()
    source.qmp.command("migrate", {"uri": pairs.listening_uri(destination)})
    source.qmp.wait_migration("completed")
    told = refuses(source, "cont", {}, "destination", "force")
    destination.qmp.wait_run_state("running")
    pairs.assert_same_memory(source, destination)
    assert source.qmp.run_state() == "postmigrate", source.qmp.run_state()
    return told


def too_late(ground):
    source, destination = stopped_at(ground, "destination-committed", PATIENT_MS)
    told = refuses(source, "migrate_cancel", {}, "handed over", "deadline")
    destination.process.signal(signal.SIGCONT)
    source.qmp.wait_migration("completed")
    destination.qmp.wait_run_state("running")
    pairs.assert_same_memory(source, destination)
    return told


def cannot_pin(ground):
    """All memory is to be pinned, of which less may be locked at the source."""
    if reason := memory_limit.why_impossible():
        return reason
    memory_file = ground.workspace.memory_path("source")
    memory_file.write_bytes(b"\x5a" * (SIZE_MIB << 20))
    qmp_path = ground.workspace.path("source.qmp")
    command = machines.godwit_command(ground.program, machine="none", memory=f"{SIZE_MIB}M", memory_file=memory_file, qmp_path=qmp_path)
    source = machines.Machine(ground.workspace, "source", memory_limit.limited(1) + command, qmp_path)
    source.memory_file, source.before = memory_file, memory_file.read_bytes()
    if not rdma.may_pin(SIZE_MIB << 20):
        return f"the destination may not lock {SIZE_MIB} MiB here"
    pairs.set_capability(source, "rdma-pin-all", True)
    destination = ground.destination(incoming=f"rdma:{HOST}:0")
    return fails(source, rdma.uri(rdma.WAYS["shm-pinned"], destination), SIZE_MIB << 20, 1 << 20, "ulimit -l")


CASES = {"connect": connect, "connect-timeout": connect_timeout, "handshake-timeout": handshake_timeout, "idle-timeout": idle_timeout,
         "switchover-timeout": switchover_timeout, "peer-closed": peer_closed, "peer-failed": peer_failed,
         "preflight-mismatch": preflight_mismatch, "handover-unknown": handover_unknown, "ownership-gone": ownership_gone,
         "too-late": too_late, "cannot-pin": cannot_pin}
