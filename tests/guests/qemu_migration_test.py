"""The workload survives a move from QEMU to QEMU, so its verdict can judge other moves.

Under TCG the guest is stopped before the move: QEMU 7.2 loses writes of a running TCG guest now and then (its own stack then
arrives older than the working set)."""

import common
from common import MIB, PAGE_BYTES, guest


def move(arguments, append):
    with common.Workspace() as workspace:
        source = common.start(workspace, arguments, append, "source")
        destination = common.start(workspace, arguments, append, "destination", incoming=f"unix:{workspace.path('stream')}")
        guest.wait_ready(source)
        guest.wait_heartbeats(source, 5)
        assert destination.qmp.run_state() == "inmigrate"
        if arguments.accel == "tcg":
            source.qmp.command("stop")
        source.qmp.command("migrate-set-parameters", {"max-bandwidth": 1 << 40, "downtime-limit": 300})
        source.qmp.command("migrate", {"uri": f"unix:{workspace.path('stream')}"})
        source.qmp.wait_migration("completed", timeout_s=120)
        stop = source.qmp.wait_event("STOP")
        if arguments.accel == "tcg":
            destination.qmp.wait_run_state("paused")
            destination.qmp.command("cont")
        destination.qmp.wait_run_state("running")
        guest.wait_heartbeats(destination, 10)
        guest.expect_ok(destination, pages=16 * MIB // PAGE_BYTES)
        guest.wait_heartbeats(destination, 5, begin=destination.serial.count())
        lines = guest.joined_lines(source.serial, destination.serial)
        beats = guest.heartbeats(lines)
        guest.check_heartbeats(beats)
        guest.check_serial(lines)
        late = [line for line in source.serial.lines() if line.time_s > stop.time_s + 1]
        assert not late, f"the source went on after STOP: {late}"
        print(f"{len(beats)} heartbeats, largest gap {guest.largest_gap_s(beats) * 1000:.1f} ms")


def main():
    arguments = common.parse_arguments()
    move(arguments, "working-set=16M rate=2000 heartbeat-ms=20")
    move(arguments, "working-set=16M rate=0 heartbeat-ms=50 pattern=zero")


main()
