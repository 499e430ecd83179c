"""Around the switchover one side is stopped at a named step; then the network is cut, in both directions or in one, a relay between them
is killed, or the side stays stopped for a while. It goes on, and the two ends are those that docs/handover.md knows: never two guests
that run."""

import argparse
import pathlib
import signal
import sys
import time
import typing

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
from scene import ENDED, GONE, IDLE_MS, RUNS_THERE, SLACK_S, SWITCHOVER_MS, UNKNOWN, Scene, accelerators, wait_for  # noqa: E402
from support.network import SIDES, enter_namespaces, hold, router_address  # noqa: E402
from support.processes import Workspace, is_stopped  # noqa: E402
from support.qmp import QmpError  # noqa: E402
from support.relaying import RelayProgram  # noqa: E402

# What may become of source and destination together.
KEPT = "kept"  # the source's guest goes on, the destination has ended
KEPT_UNKNOWN = "kept, unknown there"  # the destination has all of it, paused
UNKNOWN_BOTH = "unknown on both sides"
UNKNOWN_RUNS = "unknown here, runs there"
MOVED = "moved"
LONGER_S = 2 * SWITCHOVER_MS / 1000
SHORTER_S = 0.5
RELAY_KILLED = "the relay killed"
STEPS = ("source-stopping", "source-stopped", "source-sent", "source-loaded-seen", "source-before-commit", "source-committed",
         "destination-received", "destination-loaded", "destination-said-loaded", "destination-committed", "destination-running",
         "destination-said-running")


class Fault(typing.NamedTuple):
    """What happens while the side is stopped. `ends`: for each step what may come of it; more than one where what was sent before
    may have arrived or not."""

    strike: typing.Callable
    ends: dict


def by_step(*ends):
    """In the order of STEPS."""
    assert len(ends) == len(STEPS)
    return {step: end if isinstance(end, tuple) else (end,) for step, end in zip(STEPS, ends)}


def cut(here):
    for side in SIDES:
        here.network.unplug(side)


FAULTS = {
    "cut": Fault(cut, by_step(
        KEPT, KEPT, (KEPT, KEPT_UNKNOWN, UNKNOWN_BOTH), UNKNOWN_BOTH, UNKNOWN_BOTH, (UNKNOWN_BOTH, UNKNOWN_RUNS, MOVED),
        KEPT_UNKNOWN, KEPT_UNKNOWN, (KEPT_UNKNOWN, UNKNOWN_BOTH, UNKNOWN_RUNS), UNKNOWN_RUNS, UNKNOWN_RUNS, (UNKNOWN_RUNS, MOVED))),
    "nothing reaches the destination": Fault(lambda here: here.network.swallow("destination"), by_step(
        KEPT, KEPT, (KEPT, KEPT_UNKNOWN, UNKNOWN_BOTH), UNKNOWN_BOTH, UNKNOWN_BOTH, (UNKNOWN_BOTH, UNKNOWN_RUNS, MOVED),
        UNKNOWN_BOTH, UNKNOWN_BOTH, (UNKNOWN_BOTH, MOVED), MOVED, MOVED, MOVED)),
    # What the destination does not acknowledge is sent again until it gives up: more may arrive than is known at the source.
    "nothing reaches the source": Fault(lambda here: here.network.swallow("source"), by_step(
        (KEPT, KEPT_UNKNOWN), (KEPT, KEPT_UNKNOWN), (KEPT_UNKNOWN, UNKNOWN_RUNS), UNKNOWN_RUNS, UNKNOWN_RUNS, (UNKNOWN_RUNS, MOVED),
        KEPT_UNKNOWN, KEPT_UNKNOWN, (KEPT_UNKNOWN, UNKNOWN_RUNS), UNKNOWN_RUNS, UNKNOWN_RUNS, (UNKNOWN_RUNS, MOVED))),
    # To both sides a connection that is lost at once.
    RELAY_KILLED: Fault(lambda here: here.relay.process.kill(), by_step(
        KEPT, KEPT, KEPT_UNKNOWN, KEPT_UNKNOWN, KEPT_UNKNOWN, (UNKNOWN_BOTH, UNKNOWN_RUNS, MOVED),
        KEPT_UNKNOWN, KEPT_UNKNOWN, (KEPT_UNKNOWN, UNKNOWN_BOTH, UNKNOWN_RUNS), UNKNOWN_RUNS, UNKNOWN_RUNS, (UNKNOWN_RUNS, MOVED))),
    "stopped for less than the deadlines": Fault(lambda here: hold(SHORTER_S), by_step(*[MOVED] * len(STEPS))),
    "stopped for longer than the deadlines": Fault(lambda here: hold(LONGER_S), by_step(
        KEPT, KEPT, KEPT_UNKNOWN, KEPT_UNKNOWN, KEPT_UNKNOWN, (UNKNOWN_RUNS, MOVED),
        KEPT_UNKNOWN, KEPT_UNKNOWN, (UNKNOWN_RUNS, UNKNOWN_BOTH), UNKNOWN_RUNS, UNKNOWN_RUNS, MOVED)),
}


def name_of(here, there):
    """The pair of ends, in words. Any other pair is a mistake."""
    kept = here.state == "running" and here.status == "failed" and here.code != "handover-unknown"
    names = {(True, ENDED): KEPT, (True, UNKNOWN): KEPT_UNKNOWN}
    if kept and (True, there) in names:
        return names[(True, there)]
    names = {(UNKNOWN, UNKNOWN): UNKNOWN_BOTH, (UNKNOWN, RUNS_THERE): UNKNOWN_RUNS, (GONE, RUNS_THERE): MOVED}
    assert (here, there) in names, f"the source is {here}, the destination {there}"
    return names[(here, there)]


def heal(here):
    """Takes back every fault of the network."""
    for side in SIDES:
        here.network.plug_in(side)
    for fault, side in (("nothing reaches the destination", "destination"), ("nothing reaches the source", "source")):
        if here.struck == fault:
            here.network.stop_swallowing(side)


def expect_refused(machine):
    try:
        machine.qmp.command("cont")
    except QmpError as error:
        assert "force" in error.description, error
    else:
        raise AssertionError(f"{machine.name} started a guest that may run elsewhere")


def aftermath(here, end, side):
    """Checks the guest where it is, has the operator decide where he has to, and moves it where it can be moved."""
    if end in (UNKNOWN_BOTH, KEPT_UNKNOWN):
        expect_refused(here.destination)
    if end in (UNKNOWN_BOTH, UNKNOWN_RUNS):
        expect_refused(here.source)
    if end in (KEPT, KEPT_UNKNOWN):
        here.check_guest_at_source()
        here.expect_moves_again(stops=side == "source")
        return
    if end == UNKNOWN_BOTH:
        here.source.process.kill()
        here.source.serial.join()
        here.destination.qmp.command("cont", {"force": True})
    here.check_guest_at_destination()


def trial(workspace, arguments, step, fault):
    here = Scene(workspace, arguments)
    here.struck = fault
    side = step.split("-", maxsplit=1)[0]
    here.start(**{f"{side}_extra": ("--test-stop-at", step)})
    here.set_deadlines()
    victim = here.side(side)
    if fault == RELAY_KILLED:
        here.relay = RelayProgram(workspace, arguments.program, here.uri(), listen=f"tcp:{router_address('source')}:0")
    here.migrate(uri=here.relay.uri if here.relay else None)
    wait_for(lambda: is_stopped(victim.process), 30, f"{side} stops at {step}")
    FAULTS[fault].strike(here)
    since = time.monotonic()
    victim.process.signal(signal.SIGCONT)
    (here_end, there_end), _ = here.ends((IDLE_MS + 2 * SWITCHOVER_MS) / 1000 + SLACK_S)
    took_s = time.monotonic() - since
    end = name_of(here_end, there_end)
    allowed = FAULTS[fault].ends[step]
    assert end in allowed, f"{step}, {fault}: {end} ({here_end}, {there_end}), and not one of {allowed}"
    heal(here)
    aftermath(here, end, side)
    return f"{end} ({here_end.code or 'completed'}), {took_s:.1f} s"


def main():
    enter_namespaces()
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    accelerators.add_arguments(parser)
    parser.add_argument("--fault", nargs="+", choices=list(FAULTS), default=list(FAULTS), help="only these")
    parser.add_argument("--step", nargs="+", choices=STEPS, default=STEPS, help="only these")
    arguments = parser.parse_args()
    counts = {}
    for fault in arguments.fault:
        for step in arguments.step:
            with Workspace() as workspace:
                said = trial(workspace, arguments, step, fault)
            print(f"{fault}, {step}: {said}", flush=True)
            counts[said.split(" (")[0]] = counts.get(said.split(" (")[0], 0) + 1
    print(", ".join(f"{count} times {end}" for end, count in sorted(counts.items())))


main()
