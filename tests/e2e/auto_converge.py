"""A guest that writes faster than the link: the migration says that it stalls, and auto-converge brings it to its end; a cancel gives
the guest its speed back."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
import moving  # noqa: E402
from support import guest, pairs  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.processes import Workspace  # noqa: E402

MIB = 1 << 20
# It writes its 32 MiB several times a second.
GUEST = "working-set=32M rate=0 pattern=small heartbeat-ms=20"


def speed(machine):
    """Pages written for each heartbeat, over twenty of them."""
    begin = machine.serial.count()
    guest.wait_heartbeats(machine, 21, begin=begin)
    beats = guest.heartbeats(machine.serial.lines(begin))
    return (beats[-1].pages - beats[0].pages) / (beats[-1].counter - beats[0].counter)


def start(workspace, arguments, capabilities):
    setup = moving.Setup(workspace, arguments)
    setup.append = GUEST
    source = setup.start_source()
    destination = setup.start("destination", incoming="tcp:127.0.0.1:0")
    for name in ["events", *capabilities]:
        pairs.set_capability(source, name, True)
    # A tenth of what it writes, and less than a millisecond's worth may be left.
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": 20 * MIB, "downtime-limit": 1})
    return source, destination


def stall(arguments):
    with Workspace() as workspace:
        source, destination = start(workspace, arguments, [])
        source.qmp.command("migrate", {"uri": pairs.listening_uri(destination)})
        event = source.qmp.wait_event("X_GODWIT_CONVERGENCE", 60, where=lambda data: data["verdict"] == "stalled")
        advice = event.data["advice"]
        assert "raise downtime-limit to" in advice and "auto-converge" in advice and "raise max-bandwidth to" in advice, advice
        assert source.qmp.migration()["convergence"]["verdict"] == "stalled", source.qmp.migration()
        shown = subprocess.run([arguments.program, "status", source.qmp_path], stdout=subprocess.PIPE, text=True, check=True).stdout
        assert "stalled:" in shown and "raise downtime-limit" in shown, shown
        print(advice)
        # What it says helps.
        limit_ms = int(advice.split("raise downtime-limit to ")[1].split(" ms")[0])
        source.qmp.command("migrate-set-parameters", {"downtime-limit": 2 * limit_ms})
        source.qmp.wait_migration("completed", timeout_s=60)
        guest.expect_ok(destination)


def throttled(machine, percent):
    wait_for(lambda: machine.qmp.migration().get("cpu-throttle-percentage", 0) >= percent, 60, f"a throttle of {percent} %")


def converge(arguments):
    with Workspace() as workspace:
        source, destination = start(workspace, arguments, ["auto-converge"])
        source.qmp.command("migrate", {"uri": pairs.listening_uri(destination)})
        throttled(source, 20)
        figures = source.qmp.wait_migration("completed", timeout_s=120)
        print(f"completed after {figures['total-time']} ms, downtime {figures['downtime']} ms")
        assert "cpu-throttle-percentage" not in figures, figures
        guest.expect_ok(destination)


def cancel(arguments):
    with Workspace() as workspace:
        source, destination = start(workspace, arguments, ["auto-converge"])
        source.qmp.command("migrate-set-parameters", {"max-bandwidth": MIB, "cpu-throttle-initial": 90})
        before = max(speed(source) for _ in range(3))
        source.qmp.command("migrate", {"uri": pairs.listening_uri(destination)})
        throttled(source, 90)
        slow = min(speed(source) for _ in range(3))
        source.qmp.command("migrate_cancel")
        figures = source.qmp.wait_migration("cancelled")
        assert "cpu-throttle-percentage" not in figures, figures
        after = max(speed(source) for _ in range(3))
        print(f"pages for each heartbeat: {before:.0f}, throttled {slow:.0f}, after the cancel {after:.0f}")
        assert slow < before / 3 and after > 2 * slow, (before, slow, after)
        guest.expect_ok(source)


def main():
    parser = moving.argument_parser()
    cases = {"stall": stall, "converge": converge, "cancel": cancel}
    parser.add_argument("--case", choices=list(cases), help="only this one")
    arguments = parser.parse_args()
    for name, case in cases.items():
        if arguments.case in (None, name):
            case(arguments)


main()
