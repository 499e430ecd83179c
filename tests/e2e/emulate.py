"""A running 32-bit guest moves between machines whose CPUs are emulated and machines of KVM."""

import moving
from moving import guest, machines


class Route(moving.Setup):
    """The same guest, on one accelerator after the other."""

    def __init__(self, workspace, arguments):
        self.accelerators = list(arguments.route)
        if "kvm" in self.accelerators:
            machines.need_kvm()
        super().__init__(workspace, arguments, needs_kvm=False)
        self.append += f" tsc-khz={guest.host_tsc_khz()}"

    def start(self, name, **options):
        return super().start(name, accel=self.accelerators.pop(0), **options)


def main():
    parser = moving.argument_parser()
    parser.add_argument("--route", nargs="+", required=True, choices=["emulate", "kvm"])
    arguments = parser.parse_args()
    with moving.Workspace() as workspace:
        setup = Route(workspace, arguments)
        machine = setup.start_source("machine0")
        outputs = [machine.serial]
        downtimes = []
        for number in range(1, len(arguments.route)):
            source = machine
            machine, statistics = moving.move(setup, source, "tcp", f"machine{number}")
            downtimes.append(statistics["downtime"])
            outputs.append(machine.serial)
            guest.wait_heartbeats(machine, 3)
            silence = moving.Silence(source)
            guest.wait_heartbeats(machine, 5)
            silence.check()
            moving.end(source)
            guest.expect_ok(machine, pages=setup.pages)
        guest.expect_ok(machine, pages=setup.pages, deep=True)
        lines = guest.joined_lines(*outputs)
        guest.check_heartbeats(guest.heartbeats(lines))
        guest.check_serial(lines)
        moving.power_off(setup, machine)
        print(f"{' -> '.join(arguments.route)}: downtimes {downtimes} ms")


main()
