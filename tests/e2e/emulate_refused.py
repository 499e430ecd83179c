"""A guest that needs more than an emulated CPU has is refused by the destination, and goes on at its source, under KVM."""

import moving
from moving import guest, machines


def main():
    arguments = moving.argument_parser().parse_args()
    arguments.route = ["kvm"]
    with moving.Workspace() as workspace:
        setup = moving.Setup(workspace, arguments)
        source = setup.start_source()
        path = workspace.path("stream")
        destination = machines.start_godwit(workspace, "destination", arguments.program, memory=f"{arguments.memory}M",
                                            accel="emulate", incoming=f"unix:{path}")
        destination.qmp.run_state()
        source.qmp.command("migrate", {"uri": f"unix:{path}"})
        figures = source.qmp.wait_migration("failed")
        said = figures["error-desc"] + destination.process.stderr()
        assert "64-bit mode" in said, said
        begin = source.serial.count()
        guest.wait_heartbeats(source, 5, begin=begin)
        guest.expect_ok(source, pages=setup.pages)
        print(f"refused: {figures['error-desc']}")


main()
