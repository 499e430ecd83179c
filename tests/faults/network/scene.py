"""A guest on one host that moves to another host over a network in which something fails, and what has to become of it."""

import argparse
import pathlib
import signal
import sys
import time
import typing

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

# pylint: disable=wrong-import-position
from support import accelerators, guest, pairs  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.network import Network, address, enter_namespaces  # noqa: E402
from support.processes import Workspace, is_stopped  # noqa: E402
from support.qmp import QmpError  # noqa: E402

MIB = 1 << 20
MEMORY = "32M"
# It writes twice as fast as a migration that is to last may send.
APPEND = "working-set=12M rate=8000 pattern=small heartbeat-ms=20 fill=words"
LASTING = {"max-bandwidth": 16 * MIB, "downtime-limit": 0}
USUAL = {"max-bandwidth": 0, "downtime-limit": 300}
IDLE_MS = 1500
SWITCHOVER_MS = 1500
# After so long without a word from the other side RDMA's connection gives up, whatever the deadlines.
RDMA_SILENCE_S = 4.0
# What a busy host may add to a deadline.
SLACK_S = 2.0


class End(typing.NamedTuple):
    """What became of a migration at one side. `state`: None where the process has ended, with a status other than 0."""

    state: str
    status: str
    code: str


ENDED = End(None, None, None)
RUNS_THERE = End("running", "completed", None)
GONE = End("postmigrate", "completed", None)
UNKNOWN = End("paused", "failed", "handover-unknown")


class Scene:
    """The two hosts, the source's guest, and the destinations that it meets one after the other."""

    def __init__(self, workspace, arguments, append=APPEND, memory=MEMORY):
        self.workspace, self.arguments = workspace, arguments
        self.network = None  # until the source starts
        self.platform = accelerators.Platform(arguments)
        self.append, self.memory = append, memory
        self.source = self.destination = None
        self.relay = None
        self.host = address("destination")
        self.rdma = getattr(arguments, "rdma", None)  # the transport of its pages; None: the stream goes over tcp

    def start(self, source_extra=(), destination_extra=(), has_destination=True, is_ready=True):
        self.network = Network(self.workspace)
        self.source = self.platform.start(self.workspace, "source", memory=self.memory, inside=self.network.inside("source"),
                                          extra=source_extra, **self.platform.boots(self.append))
        if has_destination:
            self.start_destination(extra=destination_extra)
        if is_ready:
            guest.wait_ready(self.source)
            guest.wait_heartbeats(self.source, 3)
        return self

    def start_destination(self, name="destination", within=(), **options):
        """`within`: the beginning of a command that makes what follows run in surroundings of its own."""
        scheme = "rdma" if self.rdma else "tcp"
        listening = f"[{self.host}]" if ":" in self.host else self.host
        self.destination = self.platform.start(self.workspace, name, memory=self.memory, incoming=f"{scheme}:{listening}:0",
                                               inside=[*within, *self.network.inside("destination")], **options)

    def uri(self):
        port = pairs.listening_port(self.destination)
        place = f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"
        return f"rdma:{place},transport={self.rdma}" if self.rdma else f"tcp:{place}"

    def set_deadlines(self, idle_ms=IDLE_MS, switchover_ms=SWITCHOVER_MS):
        for machine in (self.source, self.destination):
            machine.qmp.command("migrate-set-parameters", {"idle-timeout": idle_ms, "switchover-timeout": switchover_ms})

    def migrate(self, parameters=None, uri=None):
        self.source.qmp.command("migrate-set-parameters", parameters or USUAL)
        self.source.qmp.command("migrate", {"uri": uri or self.uri()})

    def migrate_lasting(self):
        """Returns when it is in its second pass."""
        self.migrate(LASTING)
        wait_for(lambda: self.source.qmp.migration().get("x-godwit-passes", 0) >= 2, 30, "the second pass")

    def let_it_end(self):
        self.source.qmp.command("migrate-set-parameters", USUAL)

    def side(self, name):
        return self.source if name == "source" else self.destination

    # Outcomes.

    def ends(self, limit_s):
        """Waits until both migrations are over. Returns the two ends and the seconds that each took."""
        since = time.monotonic()
        found, took_s = {}, {}

        def both():
            for machine in (self.source, self.destination):
                end = None if machine in found else end_of(machine)
                if end:
                    found[machine], took_s[machine] = end, time.monotonic() - since
            return len(found) == 2

        wait_for(both, limit_s, lambda: f"both sides' ends, so far {[(m.name, end) for m, end in found.items()]}")
        return (found[self.source], found[self.destination]), (took_s[self.source], took_s[self.destination])

    def limit_s(self):
        """Within what time both sides have noticed that nothing moves."""
        return (RDMA_SILENCE_S if self.rdma else IDLE_MS / 1000) + SLACK_S

    def expect_end(self, *codes, limit_s=None):
        """The guest goes on at the source, which says why it is still there, and the destination has ended. Returns the code and the
        longer of the two times."""
        (here, there), took_s = self.ends(limit_s or self.limit_s())
        assert here in [End("running", "failed", code) for code in codes], f"the source is {here}, the destination {there}"
        assert there == ENDED, f"the destination is {there}, the source {here}"
        return here.code, max(took_s)

    def expect_kept(self, *codes, limit_s=None):
        """That, and the guest is whole."""
        end = self.expect_end(*codes, limit_s=limit_s)
        self.check_guest_at_source()
        return end

    def check_guest_at_source(self):
        guest.wait_heartbeats(self.source, 3, begin=self.source.serial.count())
        guest.expect_ok(self.source)
        assert not self.destination or self.destination.serial.count() == 0, "the guest has run at the destination too"
        guest.check_heartbeats(guest.heartbeats(guest.joined_lines(self.source.serial)))

    def check_guest_at_destination(self):
        """It went on where it was stopped, and no copy of it has said a word more at the source."""
        guest.wait_heartbeats(self.destination, 3)
        guest.expect_ok(self.destination)
        guest.check_heartbeats(guest.heartbeats(guest.joined_lines(self.source.serial, self.destination.serial)))

    def expect_moved(self, limit_s=30):
        figures = self.source.qmp.wait_migration("completed", timeout_s=limit_s)
        self.destination.qmp.wait_run_state("running")
        assert self.source.qmp.run_state() == "postmigrate", self.source.qmp.run_state()
        self.check_guest_at_destination()
        return figures

    def expect_moves_again(self, name="second", stops=False):
        """The fault is gone, and the guest moves as if nothing had happened. `stops`: the source stops at a step once more."""
        if self.destination.process.is_alive():
            self.destination.process.kill()
        self.start_destination(name)
        self.migrate()
        if stops:
            wait_for(lambda: is_stopped(self.source.process), 30, "the source stops once more")
            self.source.process.signal(signal.SIGCONT)
        return self.expect_moved()


def end_of(machine):
    """None while its migration goes on."""
    if not machine.process.is_alive():
        status = machine.process.exit_status()
        assert status == 1, f"{machine.name} ended with status {status}"
        said = machine.process.stderr()
        assert "incoming migration" in said or "guest memory is lost" in said, said
        return ENDED
    try:
        figures = machine.qmp.migration()
        status, code = figures.get("status"), figures.get("x-godwit-error-code")
        if status not in ("completed", "failed", "cancelled"):
            return None
        if status == "failed" and code != "handover-unknown" and machine.name != "source":
            return None  # it is about to end
        return End(machine.qmp.run_state(), status, code)
    except QmpError:
        return None


def run_cases(*cases, append=APPEND):
    """The program of a test: all cases, or the ones that are asked for, each on a network of its own."""
    enter_namespaces()
    by_name = {case.__name__: case for case in cases}
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    accelerators.add_arguments(parser)
    parser.add_argument("--rdma", metavar="TRANSPORT", help="pages travel by RDMA over this transport")
    parser.add_argument("--case", nargs="+", choices=list(by_name), help="only these")
    arguments = parser.parse_args()
    for name in arguments.case or by_name:
        begin = time.monotonic()
        with Workspace() as workspace:
            said = by_name[name](Scene(workspace, arguments, append=append))
        print(f"{name}: {said} ({time.monotonic() - begin:.1f} s)", flush=True)
