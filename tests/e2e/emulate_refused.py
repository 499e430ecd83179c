"""A guest that needs more than an emulated CPU has is refused by the destination, and goes on at its source, under KVM. The source says why."""

import moving
from moving import guest, machines

# What the guest has that is too much, by its number of CPUs.
REASONS = {1: "64-bit mode", 2: '2 devices "apic"'}


def refused(arguments, cpus, reason):
    arguments.cpus = cpus
    with moving.Workspace() as workspace:
        setup = moving.Setup(workspace, arguments)
        source = setup.start_source()
        path = workspace.path("stream")
        destination = machines.start_godwit(workspace, "destination", arguments.program, memory=f"{arguments.memory}M",
                                            accel="emulate", incoming=f"unix:{path}")
        destination.qmp.run_state()
        source.qmp.command("migrate", {"uri": f"unix:{path}"})
        said = source.qmp.wait_migration("failed")["error-desc"]
        print(f"{cpus} CPUs, refused: {said}", flush=True)
        assert reason in said, said
        begin = source.serial.count()
        guest.wait_heartbeats(source, 5, begin=begin)
        guest.expect_ok(source, pages=setup.pages)


def main():
    arguments = moving.argument_parser().parse_args()
    arguments.route = ["kvm"]
    for cpus, reason in REASONS.items():
        refused(arguments, cpus, reason)


main()
