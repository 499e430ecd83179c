"""A QEMU's running guest that godwit cannot take over, and the other way round: the reason is named, and the guest runs on at its source."""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import guest, machines, pairs  # noqa: E402
from support.processes import Workspace  # noqa: E402

# What the source has and the destination has not, and what the refusal names.
DISK = ["-blockdev", "null-co,node-name=n0,size=1048576", "-device", "virtio-blk-device,drive=n0"]
FROM_QEMU = {
    "device": ({"extra": ["-device", "virtio-rng-device"]}, {}, ("virtio-rng",)),
    "timer": ({"machine_options": ",pit=on"}, {}, ("i8254",)),
    "interrupt_controller": ({"machine_options": ",pic=on"}, {}, ("i8259",)),
    "clock": ({"machine_options": ",rtc=on"}, {}, ("mc146818rtc",)),
    "disk": ({"extra": DISK}, {}, ("virtio-mmio@00000000feb00e00/virtio-blk",)),
    "memory": ({"memory": "32M"}, {}, ("microvm.ram", "33554432", "16777216")),
    "cpus": ({"cpus": 2}, {}, ("cpu_common", "instance 1")),
}
TO_QEMU = {
    "memory": ({"memory": "32M"}, {}, ()),
    "disk": ({"disk": True}, {}, ()),
}


def start(workspace, engine, name, arguments, options, **more):
    options = {"memory": "16M", **options, **more}
    if engine == "qemu":
        return machines.start_qemu(workspace, name, **options)
    extra = []
    if options.pop("disk", False):
        image = workspace.image_path(f"{name}.img")
        with open(image, "wb") as file:
            file.truncate(1 << 20)
        extra = machines.godwit_disks([image])
    return machines.start_godwit(workspace, name, arguments.program, extra=extra, **options)


def try_to_move(workspace, arguments, engines, options):
    """Returns what the source said and what the destination wrote to its standard error."""
    kernel = {"kernel": arguments.workload, "append": f"working-set=4M rate=2000 heartbeat-ms=20 cpus={options[0].get('cpus', 1)}"}
    source = start(workspace, engines[0], "source", arguments, options[0], **kernel)
    destination = start(workspace, engines[1], "destination", arguments, options[1], incoming="tcp:127.0.0.1:0")
    guest.wait_ready(source)
    guest.wait_heartbeats(source, 5)
    pairs.set_capability(source, "return-path", True)
    source.qmp.command("migrate", {"uri": pairs.listening_uri(destination)})
    figures = source.qmp.wait_migration("failed")
    assert destination.process.wait_exit() == 1, destination.process.stderr()
    source.qmp.wait_run_state("running")
    begin = source.serial.count()
    guest.wait_heartbeats(source, 5, begin=begin)
    guest.expect_ok(source)
    guest.check_heartbeats(guest.heartbeats(source.serial.lines()))
    assert not guest.heartbeats(destination.serial.lines()), "the guest has run at the destination"
    return figures.get("error-desc", ""), destination.process.stderr()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--workload", required=True)
    parser.add_argument("--direction", required=True, choices=["qemu-to-godwit", "godwit-to-qemu"])
    arguments = parser.parse_args()
    machines.need_kvm()
    engines = arguments.direction.split("-to-")
    for name, (there, here, expected) in (FROM_QEMU if engines[0] == "qemu" else TO_QEMU).items():
        with Workspace() as workspace:
            said, written = try_to_move(workspace, arguments, engines, (there, here))
            missing = [word for word in expected if word not in written]
            assert not missing, f"{name}: {missing} not in {written}"
            assert engines[0] == "qemu" or said, f"{name}: the source does not say why"
            print(f"{name}: {written.strip().splitlines()[-2 if len(expected) else -1]}", flush=True)


main()
