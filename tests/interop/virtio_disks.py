"""A running guest with disks moves between QEMU's microvm and godwit's, through a file or live; both sides have the same images.
The guest's disks must go on where they were, with every write done once."""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import disk_record, guest, machines  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.processes import Workspace  # noqa: E402

SEED = 3
DISK_BYTES = 1 << 20
DISKS = 2


class Mover:
    def __init__(self, workspace, arguments):
        self.workspace = workspace
        self.arguments = arguments
        self.images = [workspace.image_path(f"disk{number}.img") for number in range(DISKS)]
        for path in self.images:
            with open(path, "wb") as image:
                image.truncate(DISK_BYTES)

    def start(self, engine, name, **options):
        modern = self.arguments.virtio == "modern"
        options.setdefault("memory", "16M")
        if engine == "qemu":
            return machines.start_qemu(self.workspace, name, extra=machines.qemu_disks(self.images, modern), **options)
        return machines.start_godwit(self.workspace, name, self.arguments.program,
                                     extra=machines.godwit_disks(self.images, modern), **options)

    def save(self, engine, machine, path):
        uri = f"exec:cat > {path}" if engine == "qemu" else f"file:{path}"
        machine.qmp.command("migrate", {"uri": uri})
        machine.qmp.wait_migration("completed")
        machine.process.kill()

    def load(self, engine, name, path):
        machine = self.start(engine, name, incoming=f"exec:cat {path}" if engine == "qemu" else f"file:{path}")
        machine.qmp.wait_run_state("running")
        return machine


def move_through_file(mover, source):
    stream = mover.workspace.path("stream")
    source_engine, destination_engine = mover.arguments.direction.split("-to-")
    mover.save(source_engine, source, stream)
    return mover.load(destination_engine, "destination", stream)


def move_live(mover, source):
    """While disks and memory are written as fast as the guest can."""
    path = mover.workspace.path("live")
    destination = mover.start(mover.arguments.direction.split("-to-")[1], "destination", incoming=f"unix:{path}")
    destination.qmp.run_state()
    wait_for(path.exists, 30, f"{path} exists")
    source.qmp.command("migrate", {"uri": f"unix:{path}"})
    source.qmp.wait_migration("completed")
    destination.qmp.wait_run_state("running")
    return destination


def wait_writes(machine, more):
    begin = None

    def far_enough():
        nonlocal begin
        progress = disk_record.progress(machine.serial.lines())
        if len(progress) < DISKS:
            return False
        begin = begin or progress
        return all(progress[n].durable >= begin[n].durable + more for n in progress)

    wait_for(far_enough, 60, lambda: f"{more} more writes: {disk_record.progress(machine.serial.lines())}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--workload", required=True)
    parser.add_argument("--direction", required=True, choices=["godwit-to-qemu", "qemu-to-godwit", "godwit-to-godwit"])
    parser.add_argument("--virtio", default="legacy", choices=["legacy", "modern"])
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--ring", default="plain", choices=["plain", "event", "indirect"])
    arguments = parser.parse_args()
    machines.need_kvm()
    with Workspace() as workspace:
        mover = Mover(workspace, arguments)
        source = mover.start(arguments.direction.split("-to-", maxsplit=1)[0], "source", kernel=arguments.workload,
                             append=f"working-set={'8M rate=0' if arguments.live else '1M rate=500'} heartbeat-ms=50 disk={DISKS} disk-ring={arguments.ring} "
                                    f"disk-seed={SEED}")
        guest.wait_ready(source)
        wait_writes(source, 100)
        destination = (move_live if arguments.live else move_through_file)(mover, source)
        wait_writes(destination, 100)
        guest.expect_ok(destination, deep=True)
        lines = guest.joined_lines(source.serial, destination.serial)
        guest.check_serial(lines)
        guest.check_heartbeats(guest.heartbeats(lines))
        destination.write_serial(b"q")
        destination.process.wait_exit()
        destination.serial.join()
        for number, each in disk_record.progress(guest.joined_lines(source.serial, destination.serial)).items():
            assert each.errors == 0 and each.io_errors == 0, each
            disk_record.DiskRecord(SEED, number, DISK_BYTES // disk_record.SECTOR_BYTES).check_image(
                mover.images[number], each.durable)
            print(f"disk {number}: {each.durable} durable writes, all there")


main()
