"""The same running guest moves again and again, each time to a fresh process, and is judged at the end as one run."""

import moving
from moving import guest


def main():
    parser = moving.argument_parser()
    parser.add_argument("--moves", type=int, default=20)
    parser.add_argument("--transports", nargs="+", default=["tcp", "unix"], choices=list(moving.TRANSPORTS))
    arguments = parser.parse_args()
    with moving.Workspace() as workspace:
        setup = moving.Setup(workspace, arguments)
        machine = setup.start_source("machine0")
        outputs = [machine.serial]
        downtimes = []
        for number in range(1, arguments.moves + 1):
            # Each transport in its turn.
            source = machine
            transport = arguments.transports[(number - 1) % len(arguments.transports)]
            machine, statistics = moving.move(setup, source, transport, f"machine{number}")
            downtimes.append(statistics["downtime"])
            outputs.append(machine.serial)
            guest.wait_heartbeats(machine, 3)
            silence = moving.Silence(source)
            guest.wait_heartbeats(machine, 5)
            silence.check()
            moving.end(source)
            if number % 5 == 0:
                guest.expect_ok(machine, pages=setup.pages)
        guest.expect_ok(machine, pages=setup.pages)
        lines = guest.joined_lines(*outputs)
        beats = guest.heartbeats(lines)
        guest.check_heartbeats(beats)
        guest.check_serial(lines)
        moving.power_off(setup, machine)
        print(f"{arguments.moves} moves, {len(beats)} heartbeats, downtimes {downtimes} ms, "
              f"largest gap {guest.largest_gap_s(beats) * 1000:.0f} ms")


main()
