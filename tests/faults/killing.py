"""kill -9 of either side, at random moments and at named steps of the handover: the outcome is the one in docs/handover.md.

Each trial moves a machine without a guest, so that many fit into a short time; its run state is what counts."""

import argparse
import pathlib
import random
import signal
import socket
import sys
import time
import typing

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import pairs, rdma, tls  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.handover_steps import (  # noqa: E402
    ENDED, WHEN_DESTINATION_DIES, WHEN_DESTINATION_DIES_MEANWHILE, WHEN_SOURCE_DIES, allowed)
from support.processes import Workspace, is_stopped  # noqa: E402
from support.qmp import QmpError  # noqa: E402

SIZE_MIB = 48


class Subject(typing.NamedTuple):
    """What all trials have in common."""

    program: str
    memory_file: str
    # Over RDMA, or None: over tcp.
    way: rdma.Way
    # With TLS: the program that makes certificates.
    certificates: str = None

    def start(self, workspace, source_options=(), destination_options=()):
        source = pairs.start_godwit(workspace, "source", self.program, SIZE_MIB, memory_file=self.memory_file,
                                     extra=(*source_options, *self.tls_options(workspace, "client")))
        destination = pairs.start_godwit(workspace, "destination", self.program, SIZE_MIB,
                                         extra=(*destination_options, *self.tls_options(workspace, "server")),
                                         incoming="rdma:127.0.0.1:0" if self.way else "tcp:127.0.0.1:0")
        return source, destination

    def tls_options(self, workspace, endpoint):
        if not self.certificates:
            return ()
        directory = tls.Credentials(workspace, self.certificates).root / "good"
        return "--object", f"tls-creds-x509,id=tls0,dir={directory},endpoint={endpoint}", "--tls-creds", "tls0"

    def migrate(self, source, destination):
        if self.way:
            rdma.migrate(self.way, source, destination)
        else:
            source.qmp.command("migrate", {"uri": pairs.listening_uri(destination)})


def outcome_of(machine):
    """(run state, migration status, error code) once the machine's migration is over, or ENDED."""
    def over():
        if not machine.process.is_alive():
            return ENDED
        try:
            figures = machine.qmp.migration()
            status = figures.get("status")
            if status in ("completed", "failed", "cancelled"):
                return machine.qmp.run_state(), status, figures.get("x-godwit-error-code")
        except QmpError:
            pass
        return None

    state, status, code = wait_for(over, 30, f"the end of {machine.name}'s migration")
    if state is None or (status == "failed" and code != "handover-unknown" and machine.name == "destination"):
        # A destination that has failed ends by itself.
        exit_status = machine.process.wait_exit()
        assert exit_status > 0 or rdma.was_ended_by_ucx(machine), f"{machine.name} ended with status {exit_status}"
        return ENDED
    return state, status, code


def simplify(outcome):
    """The error's code matters only where ownership is unknown."""
    state, status, code = outcome
    return state, status, code if code == "handover-unknown" else None


def check_guidance(survivor, outcome):
    if outcome[2] != "handover-unknown":
        return
    figures = survivor.qmp.migration()
    assert "godwit own" in figures["x-godwit-error-hint"], figures
    for command, arguments in (("cont", {}), ("migrate", {"uri": "exec:cat > /dev/null"})):
        try:
            survivor.qmp.command(command, arguments)
        except QmpError as error:
            assert "force" in error.description, error
        else:
            raise AssertionError(f"{command} was accepted for a guest that may run elsewhere")
    assert survivor.qmp.migration()["x-godwit-error-code"] == "handover-unknown"
    survivor.qmp.command("cont", {"force": True})
    survivor.qmp.wait_run_state("running")


def named_step(subject, step, expected):
    side = step.split("-")[0]
    option = ("--test-kill-at", step)
    with Workspace() as workspace:
        source, destination = subject.start(workspace, source_options=option if side == "source" else (),
                                            destination_options=option if side == "destination" else ())
        victim, survivor = (source, destination) if side == "source" else (destination, source)
        subject.migrate(source, destination)
        assert victim.process.wait_exit() == -9, f"{victim.name} was not killed at {step}"
        outcome = simplify(outcome_of(survivor))
        assert outcome in allowed(expected), f"killed at {step}: {survivor.name} is {outcome}, expected {expected}"
        check_guidance(survivor, outcome)
    return outcome


def while_source_is_stopped(subject, step, expected):
    with Workspace() as workspace:
        source, destination = subject.start(workspace, source_options=("--test-stop-at", step))
        subject.migrate(source, destination)
        wait_for(lambda: is_stopped(source.process), 30, f"the source stops at {step}")
        destination.process.kill()
        source.process.signal(signal.SIGCONT)
        outcome = simplify(outcome_of(source))
        assert outcome == expected, f"destination killed while the source is stopped at {step}: it is {outcome}, expected {expected}"
        check_guidance(source, outcome)
    return outcome


def random_moment(subject, side, delay_s):
    """Returns the survivor's outcome, which must be one of the table's."""
    with Workspace() as workspace:
        source, destination = subject.start(workspace)
        victim, survivor = (source, destination) if side == "source" else (destination, source)
        subject.migrate(source, destination)
        moment = time.monotonic() + delay_s
        while time.monotonic() < moment:
            pass
        victim.process.kill()
        # Where the source died before it had connected, the destination goes on waiting, as it should.
        if side == "source" and wait_for(lambda: destination_settled(destination), 10, "the destination settles") == "waits":
            return "waits"
        outcome = simplify(outcome_of(survivor))
        table = WHEN_SOURCE_DIES if side == "source" else WHEN_DESTINATION_DIES
        assert any(outcome in allowed(entry) for entry in table.values()), f"{side} killed after {delay_s:.4f} s: {survivor.name} is {outcome}"
        check_guidance(survivor, outcome)
        return "/".join(str(part) for part in outcome)


def destination_settled(destination):
    """A destination without a connection answers a stray one by closing it: then nothing of the dead source is left."""
    if not destination.process.is_alive():
        return "ended"
    try:
        status = destination.qmp.migration().get("status")
    except QmpError:
        return "ended"
    if status != "setup":
        return "connected"
    try:
        with socket.create_connection(("127.0.0.1", pairs.listening_port(destination)), 5) as stray:
            stray.settimeout(5)
            stray.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return "waits" if stray.recv(1) == b"" else None
    except ConnectionResetError:
        return "waits"
    except QmpError:
        return "ended"
    except OSError:
        return None


def measure_total_s(subject):
    with Workspace() as workspace:
        source, destination = subject.start(workspace)
        subject.migrate(source, destination)
        return source.qmp.wait_migration("completed")["total-time"] / 1000


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--random", type=int, default=0, help="trials with each side killed at a random moment")
    parser.add_argument("--steps", type=int, default=0, help="rounds over all named steps")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--way", choices=list(rdma.WAYS), help="over RDMA instead of tcp")
    parser.add_argument("--certificates", help="over TLS: the program make-certificates")
    arguments = parser.parse_args()
    seen = {}
    with Workspace() as shared:
        memory_file = shared.memory_path("memory")
        pairs.write_memory(memory_file, SIZE_MIB)
        subject = Subject(arguments.program, memory_file, rdma.WAYS.get(arguments.way), arguments.certificates)
        for _ in range(arguments.steps):
            for step, expected in {**WHEN_SOURCE_DIES, **WHEN_DESTINATION_DIES}.items():
                outcome = named_step(subject, step, expected)
                print(f"killed at {step}: {outcome}", flush=True)
            for step, expected in WHEN_DESTINATION_DIES_MEANWHILE.items():
                outcome = while_source_is_stopped(subject, step, expected)
                print(f"destination killed while the source is stopped at {step}: {outcome}", flush=True)
        if arguments.random:
            total_s = max(measure_total_s(subject), 0.02)
            generator = random.Random(arguments.seed)
            for _ in range(arguments.random):
                for side in ("source", "destination"):
                    outcome = random_moment(subject, side, generator.uniform(0, 1.2 * total_s))
                    seen[(side, outcome)] = seen.get((side, outcome), 0) + 1
    for (side, outcome), count in sorted(seen.items()):
        print(f"{side} killed: {count} times {outcome}")


main()
