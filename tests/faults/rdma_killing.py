"""Over RDMA nobody but the control connection says that the other side is gone: a side that is killed, stopped, or cut off at a random
moment is noticed within seconds, and the guest goes on where it belongs."""

import argparse
import pathlib
import random
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import accelerators, guest, pairs, rdma  # noqa: E402
from support.deadlines import DeadlineExpired, wait_for  # noqa: E402
from support.processes import Workspace  # noqa: E402
from support.qmp import QmpError  # noqa: E402
from support.relay import Relay  # noqa: E402

MIB = 1 << 20
APPEND = "working-set=24M rate=0 pattern=small heartbeat-ms=20 fill=words"
NOTICED_LIMIT_S = 5
MEMORY = "32M"


class Trial:
    """One guest, and a migration that lasts about a second, or for ever."""

    def __init__(self, workspace, arguments):
        self.way = rdma.WAYS[arguments.way]
        platform = accelerators.Platform(arguments)
        self.source = platform.start(workspace, "source", memory=MEMORY, **platform.boots(APPEND))
        self.destination = platform.start(workspace, "destination", memory=MEMORY, incoming="rdma:127.0.0.1:0")
        self.port = pairs.listening_port(self.destination)
        guest.wait_ready(self.source)
        guest.wait_heartbeats(self.source, 3)

    def migrate(self, for_ever=False, port=None):
        self.way.prepare(self.source)
        limits = {"max-bandwidth": 48 * MIB, "downtime-limit": 0} if for_ever else {"max-bandwidth": 64 * MIB}
        self.source.qmp.command("migrate-set-parameters", limits)
        self.source.qmp.command("migrate", {"uri": self.way.uri(port or self.port)})

    def wait_pass(self, number):
        wait_for(lambda: self.source.qmp.migration().get("x-godwit-passes", 0) >= number, 30, f"pass {number}")

    def side(self, name):
        return (self.source, self.destination) if name == "source" else (self.destination, self.source)

    def noticed_s(self):
        """Waits until both know that it is over. Returns how long that took the source and the destination."""
        since = time.monotonic()
        times_s = {}

        def both():
            if "source" not in times_s and self.source.qmp.migration()["status"] == "failed":
                times_s["source"] = time.monotonic() - since
            if "destination" not in times_s and not self.destination.process.is_alive():
                times_s["destination"] = time.monotonic() - since
            return len(times_s) == 2

        wait_for(both, 30, lambda: f"both sides notice it, so far {times_s}")
        return times_s["source"], times_s["destination"]

    def expect_source_goes_on(self, since):
        """The migration fails and the guest runs. Returns how long after `since`."""
        figures = self.source.qmp.wait_migration("failed", timeout_s=30)
        took_s = time.monotonic() - since
        assert figures["error-desc"] and figures["x-godwit-error-code"] in ("peer-closed", "idle-timeout", "io"), figures
        self.source.qmp.wait_run_state("running")
        guest.wait_heartbeats(self.source, 3, begin=self.source.serial.count())
        guest.expect_ok(self.source)
        return took_s

    def expect_destination_ends(self, since):
        wait_for(lambda: not self.destination.process.is_alive(), 30, "the end of the destination")
        took_s = time.monotonic() - since
        status = self.destination.process.exit_status()
        assert status > 0 or rdma.was_ended_by_ucx(self.destination), f"status {status}"
        assert status < 0 or "incoming migration" in self.destination.process.stderr(), self.destination.process.stderr()
        return took_s


def settled(machine):
    """(run state, status, code) of a side whose migration is over, or 'ended'; 'waits' for a destination that nobody has come to."""
    if not machine.process.is_alive():
        return ("ended", None, None)
    try:
        figures = machine.qmp.migration()
        status = figures.get("status")
        code = figures.get("x-godwit-error-code")
        if machine.name == "destination" and status == "setup":
            return ("waits", None, None)
        if machine.name == "destination" and status == "failed" and code != "handover-unknown":
            return None  # it is about to end
        return (machine.qmp.run_state(), status, code) if status in ("completed", "failed") else None
    except QmpError:
        return None


def settled_for_good(machine):
    outcome = settled(machine)
    return outcome if outcome and outcome[0] != "waits" else None


def killed(trial, generator, name):
    """Returns what became of the guest."""
    victim, survivor = trial.side(name)
    trial.migrate()
    moment = time.monotonic() + generator.uniform(0, 1.6)
    wait_for(lambda: time.monotonic() >= moment, 5, "the moment", poll_s=0.001)
    victim.process.kill()
    since = time.monotonic()
    state, status, code = wait_for(lambda: settled(survivor), 30, f"the end of {survivor.name}'s migration")
    if name == "source" and state == "waits":
        # Either nobody ever came, or it has not noticed yet.
        try:
            state, status, code = wait_for(lambda: settled_for_good(survivor), NOTICED_LIMIT_S, "an end")
        except DeadlineExpired:
            return "the destination waits"
    took_s = time.monotonic() - since
    assert took_s < NOTICED_LIMIT_S, f"{survivor.name} needed {took_s:.1f} s"
    if state == "ended":
        trial.expect_destination_ends(since)
        return "aborted by UCX" if survivor.process.exit_status() < 0 else "the destination ended"
    if code == "handover-unknown":
        assert state == "paused", (state, status, code)
        survivor.qmp.command("cont", {"force": True})
        guest.expect_ok(survivor)
        return f"unknown, taken by the {survivor.name}"
    if state == "postmigrate":
        assert survivor.name == "source" and status == "completed", (state, status, code)
        return "it had moved"
    assert state == "running" and (status == "failed") == (survivor.name == "source"), (state, status, code)
    guest.expect_ok(survivor)
    return f"runs at the {survivor.name}"


def random_kills(arguments):
    generator = random.Random(arguments.seed)
    seen = {}
    for _ in range(arguments.random):
        for name in ("source", "destination"):
            with Workspace() as workspace:
                outcome = killed(Trial(workspace, arguments), generator, name)
            seen[(name, outcome)] = seen.get((name, outcome), 0) + 1
    for (name, outcome), count in sorted(seen.items()):
        print(f"{arguments.way}: {name} killed: {count} times {outcome}", flush=True)


def expect_soon(took_s, what):
    assert took_s < NOTICED_LIMIT_S, f"{what} after {took_s:.1f} s"


def stopped(trial, name):
    """SIGSTOP: its connection stays, its kernel acknowledges. Afterwards it goes on, and finds out."""
    victim, _ = trial.side(name)
    trial.migrate(for_ever=True)
    trial.wait_pass(2)
    since = time.monotonic()
    victim.process.signal(signal.SIGSTOP)
    took_s = trial.expect_destination_ends(since) if name == "source" else trial.expect_source_goes_on(since)
    expect_soon(took_s, f"a stopped {name} was noticed")
    victim.process.signal(signal.SIGCONT)
    since = time.monotonic()
    after_s = trial.expect_source_goes_on(since) if name == "source" else trial.expect_destination_ends(since)
    expect_soon(after_s, "what had happened was found out")
    return f"noticed after {took_s:.1f} s, and {after_s:.1f} s after it went on"


def cut_off(trial, how):
    """The control connection alone breaks: what goes past it would still arrive."""
    with Relay("127.0.0.1", trial.port) as relay:
        trial.migrate(for_ever=True, port=relay.port)
        trial.wait_pass(2)
        since = time.monotonic()
        how(relay)
        source_s, destination_s = trial.noticed_s()
    # The one who still hears the other learns it from that one's farewell.
    expect_soon(source_s, "the source noticed it")
    expect_soon(destination_s, "the destination noticed it")
    trial.expect_source_goes_on(since)
    trial.expect_destination_ends(since)
    return f"noticed after {source_s:.2f} s (source) and {destination_s:.2f} s (destination)"


CUTS = {"cut": Relay.cut, "stalled": Relay.stall, "stalled towards the destination": lambda relay: relay.stall(relay.forward),
        "stalled towards the source": lambda relay: relay.stall(relay.backward)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    accelerators.add_arguments(parser)
    parser.add_argument("--way", default="shm", choices=list(rdma.WAYS))
    parser.add_argument("--random", type=int, default=0, help="trials with each side killed at a random moment")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--silence", action="store_true", help="sides that are stopped or cut off")
    arguments = parser.parse_args()
    random_kills(arguments)
    if arguments.silence:
        plan = {f"the {name} stopped": lambda trial, name=name: stopped(trial, name) for name in ("source", "destination")}
        plan.update({f"the connection {name}": lambda trial, how=how: cut_off(trial, how) for name, how in CUTS.items()})
        for name, case in plan.items():
            with Workspace() as workspace:
                print(f"{arguments.way}: {name}: {case(Trial(workspace, arguments))}", flush=True)


main()
