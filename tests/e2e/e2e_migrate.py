"""A running guest moves from one godwit to another and finds its memory whole."""

import moving
from moving import guest


def main():
    parser = moving.argument_parser()
    parser.add_argument("--transport", default="tcp", choices=[*moving.TRANSPORTS, "file"])
    arguments = parser.parse_args()
    with moving.Workspace() as workspace:
        setup = moving.Setup(workspace, arguments)
        source = setup.start_source()
        # `query-migrate` before: nothing has run.
        assert source.qmp.migration() == {}, source.qmp.migration()
        if arguments.transport == "file":
            destination, statistics = moving.move_through_file(setup, source)
        else:
            destination, statistics = moving.move(setup, source, arguments.transport)
        guest.wait_heartbeats(destination, 10)
        silence = moving.Silence(source)
        guest.expect_ok(destination, pages=setup.pages, timeout_s=300)
        after = guest.wait_heartbeats(destination, 5, begin=destination.serial.count())
        silence.check()

        lines = guest.joined_lines(source.serial, destination.serial)
        beats = guest.heartbeats(lines)
        guest.check_heartbeats(beats)
        guest.check_serial(lines)
        if arguments.pattern != "constant":
            assert after[-1].pages > beats[4].pages, "the guest does not work"
        moving.end(source)
        moving.power_off(setup, destination)
        print(f"{arguments.transport}: total {statistics['total-time']} ms, downtime {statistics['downtime']} ms, "
              f"{statistics['ram']['transferred'] >> 20} MiB, {statistics['ram']['dirty-sync-count']} syncs, "
              f"largest gap between heartbeats {guest.largest_gap_s(beats) * 1000:.0f} ms")


main()
