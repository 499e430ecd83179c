"""kill -9 of either side of a migration with disks, at random moments and at named steps of the handover: whatever the guest was
told is durable is in the images of the side that owns it, and it goes on there.

A killed process leaves the kernel's page cache as it is, so this is about what was handed to the kernel, and in which order. What
survives a loss of power is the subject of the simulation."""

import argparse
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import accelerators, disks, pairs  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.disk_guest import MIB, DiskGuest, migrate  # noqa: E402
from support.handover_steps import WHEN_DESTINATION_DIES, WHEN_SOURCE_DIES, allowed  # noqa: E402
from support.processes import Workspace  # noqa: E402
from support.qmp import QmpError  # noqa: E402

SIZES = (24 * MIB, 5 * MIB + 512)
SPAN_BYTES = 2 * MIB


def guest_in(workspace, arguments, source_options=(), destination_options=()):
    subject = DiskGuest(workspace, arguments, SIZES, memory="16M", span_bytes=SPAN_BYTES,
                        append="working-set=2M rate=0 heartbeat-ms=20", batch=4)
    for path, size in zip(subject.images("source"), SIZES):
        disks.write_raw(path, size, [(size // 2 // 512 * 512, size // 4 // 512 * 512)])  # beyond what the guest writes
    source = subject.start_source(extra=source_options)
    return subject, source, subject.start_destination(extra=destination_options)


def settled(machine):
    """(run state, error code) once its migration is over; None as the run state if the process has ended."""
    def over():
        if not machine.process.is_alive():
            return None, None
        try:
            figures = machine.qmp.migration()
            if figures.get("status") in ("completed", "failed"):
                return machine.qmp.run_state(), figures.get("x-godwit-error-code")
            if figures.get("status") == "setup" and machine.name == "destination":
                return "waits", None  # the source died before it had connected
        except QmpError:
            pass
        return None

    state, code = wait_for(over, 30, f"the end of {machine.name}'s migration")
    if machine.name == "destination" and code is not None and code != "handover-unknown":
        machine.process.wait_exit()
        return None, None
    return state, code


def go_on(subject, machine, side):
    subject.wait_writes(machine, 8)
    subject.power_off(machine)
    return subject.check_images(side)


def aftermath(subject, side, survivor, state, code):
    """Checks the guest and its images when `side` has died and the other one is settled; returns what became of the guest."""
    name = survivor.name
    if name == "source" and state != "postmigrate":
        # What the guest did at the destination, if it ran there, is not in the source's images.
        subject.outputs = [survivor.serial]
    if state == "running":
        go_on(subject, survivor, name)
        return f"runs at the {name}"
    if code == "handover-unknown":
        # The other side is dead, and so the operator may decide.
        survivor.qmp.command("cont", {"force": True})
        go_on(subject, survivor, name)
        return f"unknown, taken by the {name}"
    if state == "postmigrate":
        # It ran at the destination and died there: the images there are what is left.
        subject.check_images("destination")
        return "died at the destination"
    assert side == "source" and state in (None, "waits"), (side, state, code)
    subject.check_images("source")
    return "died at the source"


def trial(arguments, side, delay_s):
    """Returns what became of the guest."""
    with Workspace() as workspace:
        subject, source, destination = guest_in(workspace, arguments)
        victim, survivor = (source, destination) if side == "source" else (destination, source)
        source.qmp.command("migrate", {"uri": pairs.listening_uri(destination), "blk": True})
        moment = time.monotonic() + delay_s
        while time.monotonic() < moment:
            pass
        victim.process.kill()
        victim.serial.join()
        return aftermath(subject, side, survivor, *settled(survivor))


def named_step(arguments, step, expected):
    """Returns what became of the guest."""
    side = step.split("-", maxsplit=1)[0]
    options = {f"{side}_options": ("--test-kill-at", step)}
    with Workspace() as workspace:
        subject, source, destination = guest_in(workspace, arguments, **options)
        victim, survivor = (source, destination) if side == "source" else (destination, source)
        source.qmp.command("migrate", {"uri": pairs.listening_uri(destination), "blk": True})
        assert victim.process.wait_exit() == -9, f"{side} was not killed at {step}: {victim.process.stderr()}"
        victim.serial.join()
        state, code = settled(survivor)
        assert state in [outcome[0] for outcome in allowed(expected)], f"killed at {step}: {survivor.name} is {state}, {code}"
        return aftermath(subject, side, survivor, state, code)


def measure_total_s(arguments):
    with Workspace() as workspace:
        subject, source, destination = guest_in(workspace, arguments)
        figures = migrate(source, destination)
        go_on(subject, destination, "destination")
        return figures["total-time"] / 1000


def at_random(arguments):
    total_s = max(measure_total_s(arguments), 0.02)
    generator = random.Random(arguments.seed)
    seen = {}
    for _ in range(arguments.random):
        for side in ("source", "destination"):
            delay_s = generator.uniform(0, 1.2 * total_s)
            outcome = trial(arguments, side, delay_s)
            seen[(side, outcome)] = seen.get((side, outcome), 0) + 1
    print(f"an undisturbed move takes {total_s:.3f} s")
    for (side, outcome), count in sorted(seen.items()):
        print(f"{side} killed: {count} times the guest {outcome}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    accelerators.add_arguments(parser)
    parser.add_argument("--random", type=int, default=0, help="trials with each side killed at a random moment")
    parser.add_argument("--steps", type=int, default=0, help="rounds over all named steps")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    for _ in range(arguments.steps):
        for step, expected in {**WHEN_SOURCE_DIES, **WHEN_DESTINATION_DIES}.items():
            print(f"killed at {step}: the guest {named_step(arguments, step, expected)}", flush=True)
    if arguments.random:
        at_random(arguments)


main()
