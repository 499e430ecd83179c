"""A cancel and a yank take effect at once wherever the migration is, whatever the peer does: nobody answers the connection, the greeting,
reads what comes, or the bandwidth is one byte per second, or the guest is stopped already. Machines without a guest: no KVM is needed."""

import argparse
import os
import pathlib
import signal
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import pairs  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.processes import Workspace  # noqa: E402
from support.qmp import QmpClient, QmpError  # noqa: E402

LIMIT_S = 0.5
SIZE_MIB = 64
MIGRATION = {"instances": [{"type": "migration"}]}


class Case:
    """A source whose migration has come to a certain point, with a second client that may send out-of-band."""

    def __init__(self, workspace, arguments):
        self.workspace = workspace
        self.program = arguments.program
        memory = workspace.memory_path("source")
        pairs.write_memory(memory, SIZE_MIB)
        self.source = pairs.start_godwit(workspace, "source", self.program, SIZE_MIB, memory_file=memory)
        self.qmp = self.source.qmp
        self.urgent = QmpClient(self.source.qmp_path, negotiate=False)
        workspace.on_exit(self.urgent.close)
        self.urgent.command("qmp_capabilities", {"enable": ["oob"]})
        self.destination = None
        self._sockets = []
        workspace.on_exit(lambda: [each.close() for each in self._sockets])

    def keep(self, each):
        self._sockets.append(each)
        return each

    def listener(self, backlog):
        server = self.keep(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(backlog)
        return server

    def migrate(self, uri, return_path=True):
        pairs.set_capability(self.source, "return-path", return_path)
        self.qmp.command("migrate", {"uri": uri})

    def start_destination(self, **options):
        self.destination = pairs.start_godwit(self.workspace, "destination", self.program, SIZE_MIB, incoming="tcp:127.0.0.1:0", **options)
        return pairs.listening_uri(self.destination)

    def wait_status(self, status):
        wait_for(lambda: self.qmp.migration().get("status") == status, 30, f"the migration is {status}")


def connect_hangs(case):
    """The queue of connections to the peer is full, so that the system repeats the attempt in silence."""
    server = case.listener(0)
    for _ in range(4):
        filler = case.keep(socket.socket())
        filler.setblocking(False)
        filler.connect_ex(server.getsockname())
    case.migrate(f"tcp:127.0.0.1:{server.getsockname()[1]}")
    case.wait_status("setup")


def handshake_hangs(case):
    server = case.listener(1)
    case.migrate(f"tcp:127.0.0.1:{server.getsockname()[1]}")
    case.keep(server.accept()[0]).recv(1)
    case.wait_status("setup")


def peer_reads_nothing(case):
    """Sends until the systems of both sides hold all that they take."""
    server = case.listener(1)
    case.migrate(f"tcp:127.0.0.1:{server.getsockname()[1]}", return_path=False)
    case.keep(server.accept()[0])
    wait_until_stuck(case)


def command_reads_nothing(case):
    case.migrate("exec:sleep 1000", return_path=False)
    wait_until_stuck(case)


def wait_until_stuck(case):
    case.wait_status("active")
    last = [-1, time.monotonic()]

    def stuck():
        sent = case.qmp.migration()["ram"]["transferred"]
        if sent != last[0]:
            last[:] = [sent, time.monotonic()]
        return time.monotonic() - last[1] > 0.3

    wait_for(stuck, 30, "nothing more is sent")


def rate_of_one_byte(case):
    case.qmp.command("migrate-set-parameters", {"max-bandwidth": 1})
    case.migrate(case.start_destination())
    case.wait_status("active")


def rate_of_one_byte_one_way(case):
    case.qmp.command("migrate-set-parameters", {"max-bandwidth": 1})
    case.migrate("exec:cat >/dev/null", return_path=False)
    case.wait_status("active")


def is_stopped(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] == "T"


def stop_destination_at(case, step):
    case.migrate(case.start_destination(extra=("--test-stop-at", step)))
    wait_for(lambda: is_stopped(case.destination.process.pid), 60, f"the destination stops at {step}")
    case.qmp.wait_run_state("finish-migrate")


def switchover_hangs(case):
    """The destination has the machine and falls silent before it says so: the guest is stopped."""
    stop_destination_at(case, "destination-received")


def commit_hangs(case):
    """The destination has the commit and falls silent: the guest may be its."""
    stop_destination_at(case, "destination-committed")


BEFORE_COMMIT = (connect_hangs, handshake_hangs, peer_reads_nothing, command_reads_nothing, rate_of_one_byte, rate_of_one_byte_one_way,
                 switchover_hangs)


def timed(case, act, status):
    """Acts, and waits for the end: both within the limit."""
    begin = time.monotonic()
    act()
    answered = time.monotonic() - begin
    case.qmp.wait_migration(status, timeout_s=10)
    took = time.monotonic() - begin
    assert took < LIMIT_S, f"answered after {answered * 1000:.0f} ms, {status} after {took * 1000:.0f} ms"
    return took


def check_freedom(case):
    """Nothing is left to be broken off, and the machine can be moved again."""
    assert case.qmp.run_state() == "running", case.qmp.run_state()
    assert case.qmp.command("query-yank") == []
    if case.destination is not None and case.destination.process.is_alive() and is_stopped(case.destination.process.pid):
        os.kill(case.destination.process.pid, signal.SIGCONT)
    case.qmp.command("migrate-set-parameters", {"max-bandwidth": 0})
    case.migrate("exec:cat >/dev/null", return_path=False)
    case.qmp.wait_migration("completed")


def cancel(case):
    took = timed(case, lambda: case.qmp.command("migrate_cancel"), "cancelled")
    check_freedom(case)
    return took


def yank(case):
    assert case.qmp.command("query-yank") == MIGRATION["instances"]
    took = timed(case, lambda: case.urgent.answer(case.urgent.send("yank", MIGRATION, verb="exec-oob")), "failed")
    figures = case.qmp.migration()
    assert figures["x-godwit-error-code"] == "io" and "yank" in figures["error-desc"], figures
    check_freedom(case)
    return took


def yank_after_commit(case):
    """The guest is the destination's if it lives: here it stays paused."""
    took = timed(case, lambda: case.urgent.answer(case.urgent.send("yank", MIGRATION, verb="exec-oob")), "failed")
    figures = case.qmp.migration()
    assert figures["x-godwit-error-code"] == "handover-unknown", figures
    assert case.qmp.run_state() != "running", case.qmp.run_state()
    for refused in (("cont", None), ("migrate", {"uri": "exec:cat >/dev/null"})):
        try:
            case.qmp.command(*refused)
            raise AssertionError(f"{refused} was accepted")
        except QmpError as error:
            assert error.error_class == "GenericError", error
    os.kill(case.destination.process.pid, signal.SIGCONT)
    case.destination.qmp.wait_run_state("running")
    return took


def cancel_after_commit(case):
    begin = time.monotonic()
    try:
        case.qmp.command("migrate_cancel")
        raise AssertionError("a cancel after the commit was accepted")
    except QmpError as error:
        assert "handed over" in error.description, error
    took = time.monotonic() - begin
    assert took < LIMIT_S, took
    os.kill(case.destination.process.pid, signal.SIGCONT)
    case.qmp.wait_migration("completed")
    return took


def yank_destination(case):
    """While it listens nothing happens; once the machine arrives the connection breaks, and the source keeps the guest."""
    case.qmp.command("migrate-set-parameters", {"max-bandwidth": 1 << 20})
    uri = case.start_destination()
    destination = case.destination
    assert destination.qmp.command("query-yank") == MIGRATION["instances"]
    destination.qmp.command("yank", MIGRATION)
    assert pairs.listening_uri(destination) == uri
    case.migrate(uri)
    destination.qmp.wait_migration("active")
    begin = time.monotonic()
    destination.qmp.command("yank", MIGRATION)
    case.qmp.wait_migration("failed", timeout_s=10)
    took = time.monotonic() - begin
    assert took < LIMIT_S, took
    assert destination.process.wait_exit() == 1
    assert "yank" in destination.process.stderr(), destination.process.stderr()
    check_freedom(case)
    return took


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    arguments = parser.parse_args()
    plan = [(prepare, act) for prepare in BEFORE_COMMIT for act in (cancel, yank)]
    plan += [(commit_hangs, yank_after_commit), (commit_hangs, cancel_after_commit), (lambda case: None, yank_destination)]
    for prepare, act in plan:
        if arguments.only not in f"{prepare.__name__}: {act.__name__}":
            continue
        with Workspace() as workspace:
            case = Case(workspace, arguments)
            prepare(case)
            took = act(case)
            print(f"{prepare.__name__}: {act.__name__} took {took * 1000:.0f} ms", flush=True)


main()
