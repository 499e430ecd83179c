"""A wrong command line ends in one clear line and a power-off."""

import common
from common import guest

WRONG = {
    "rat=3": "ERROR unknown option: rat",
    "rate": "ERROR an option without a value: rate",
    "rate=many": "ERROR not a number: rate",
    "cpus=0": "ERROR out of range: cpus",
    "pattern=big": "ERROR unknown value of: pattern",
    "working-set=61M": "ERROR working-set does not fit into memory (it begins at 4 MiB)",
}


def expect_error(arguments, append, expected, **options):
    with common.Workspace() as workspace:
        machine = common.machines.start_qemu(workspace, "qemu", kernel=arguments.workload, accel=arguments.accel,
                                             append=append, **options)
        line = machine.serial.wait_line("ERROR", 60)
        assert line.text == expected, line
        assert machine.process.wait_exit() == 1


def main():
    arguments = common.parse_arguments()
    for append, expected in WRONG.items():
        expect_error(arguments, append, expected)
    # More virtual CPUs than the machine has: said after a time-out of the guest's own.
    expect_error(arguments, "cpus=2", "ERROR a virtual CPU does not answer, cpus= is too high")
    with common.Workspace() as workspace:
        machine = common.machines.start_qemu(workspace, "qemu", kernel=arguments.workload, accel=arguments.accel,
                                             append="  working-set=60M   tsc-khz=2000000 ", memory="64M")
        text = machine.serial.wait_line("WORKLOAD", 60).text
        assert "working-set=62914560 start=0x400000 rate=0 pattern=small" in text and "tsc-khz=2000000" in text, text
        guest.wait_ready(machine)


main()
