"""kill -9 of a `godwit relay` between two machines, at random moments: to them it is a lost connection, whatever the relay held at that
moment, and the two ends are those of docs/handover.md.

The machines have no guest, so that many trials fit into a short time; their run states are what counts."""

import argparse
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import pairs  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.processes import Workspace  # noqa: E402
from support.qmp import QmpError  # noqa: E402
from support.relaying import RelayProgram  # noqa: E402

SIZE_MIB = 48
# (run state, status) of the source and of the destination; None: it has ended.
KEPT, UNKNOWN = ("running", "failed"), ("paused", "failed")
OUTCOMES = {
    (KEPT, None): "the guest goes on at the source",
    (KEPT, ("inmigrate", "setup")): "the guest goes on at the source, nobody has come to the destination",
    (KEPT, UNKNOWN): "the guest goes on at the source, unknown at the destination",
    (UNKNOWN, UNKNOWN): "unknown on both sides",
    (UNKNOWN, ("running", "completed")): "unknown at the source, the guest runs at the destination",
    (("postmigrate", "completed"), ("running", "completed")): "the guest has moved",
}
# A destination to which nobody has come stays as it is: so long it is given to notice somebody.
SETTLED_S = 2.0


def end_of(machine, since):
    """Its run state and status once its migration is over, (None,) once it has ended, or None."""
    if not machine.process.is_alive():
        assert machine.process.exit_status() == 1, machine.process.exit_status()
        return (None,)
    try:
        figures = machine.qmp.migration()
        status = figures.get("status")
        if status == "setup" and machine.name == "destination" and time.monotonic() - since > SETTLED_S:
            return ((machine.qmp.run_state(), status),)
        if status == "failed" and machine.name == "destination" and figures["x-godwit-error-code"] != "handover-unknown":
            return None  # it is about to end
        return ((machine.qmp.run_state(), status),) if status in ("failed", "completed") else None
    except QmpError:
        return None


def start(workspace, arguments, memory_file):
    source = pairs.start_godwit(workspace, "source", arguments.program, SIZE_MIB, memory_file=memory_file)
    destination = pairs.start_godwit(workspace, "destination", arguments.program, SIZE_MIB, incoming="tcp:127.0.0.1:0")
    relay = RelayProgram(workspace, arguments.program, pairs.listening_uri(destination))
    source.qmp.run_state()
    return source, destination, relay


def trial(arguments, memory_file, delay_s):
    """Returns what became of the machine."""
    with Workspace() as workspace:
        source, destination, relay = start(workspace, arguments, memory_file)
        source.qmp.command("migrate", {"uri": relay.uri})
        moment = time.monotonic() + delay_s
        while time.monotonic() < moment:
            pass
        relay.process.kill()
        since = time.monotonic()
        here, there = (wait_for(lambda machine=machine: end_of(machine, since), 30, f"the end at the {machine.name}")[0]
                       for machine in (source, destination))
        assert (here, there) in OUTCOMES, f"killed after {delay_s:.4f} s: the source is {here}, the destination {there}"
        for machine, end in ((source, here), (destination, there)):
            if end == UNKNOWN:
                assert machine.qmp.migration()["x-godwit-error-code"] == "handover-unknown", machine.qmp.migration()
        if here == KEPT:
            again = pairs.start_godwit(workspace, "again", arguments.program, SIZE_MIB, incoming="tcp:127.0.0.1:0")
            source.qmp.command("migrate", {"uri": pairs.listening_uri(again)})
            source.qmp.wait_migration("completed")
            again.qmp.wait_run_state("running")
        return OUTCOMES[(here, there)]


def measure_total_s(arguments, memory_file):
    with Workspace() as workspace:
        source, _, relay = start(workspace, arguments, memory_file)
        source.qmp.command("migrate", {"uri": relay.uri})
        return source.qmp.wait_migration("completed")["total-time"] / 1000


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--random", type=int, required=True, help="trials")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    seen = {}
    with Workspace() as shared:
        memory_file = shared.memory_path("memory")
        pairs.write_memory(memory_file, SIZE_MIB)
        total_s = max(measure_total_s(arguments, memory_file), 0.02)
        generator = random.Random(arguments.seed)
        for _ in range(arguments.random):
            outcome = trial(arguments, memory_file, generator.uniform(0, 1.2 * total_s))
            seen[outcome] = seen.get(outcome, 0) + 1
    for outcome, count in sorted(seen.items()):
        print(f"relay killed: {count} times {outcome}")


main()
