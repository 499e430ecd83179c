"""The workload writes, flushes and verifies disks; afterwards the images hold what it was told is there."""

import os

import common
from common import MIB, guest
from support import disk_record
from support.deadlines import wait_for

SEED = 7


def make_images(workspace, sizes):
    paths = []
    for number, size in enumerate(sizes):
        path = workspace.image_path(f"disk{number}.img")
        with open(path, "wb") as image:
            image.truncate(size)
        paths.append(path)
    return paths


def start(workspace, arguments, append, images):
    if arguments.engine == "qemu":
        extra = common.machines.qemu_disks(images, modern=arguments.virtio == "modern")
        return common.start(workspace, arguments, append, extra=extra)
    return common.machines.start_godwit(
        workspace, "godwit", arguments.program, kernel=arguments.workload, cpus=arguments.cpus,
        append=f"cpus={arguments.cpus} {append}",
        extra=common.machines.godwit_disks(images, modern=arguments.virtio == "modern"))


def wait_writes(machine, disks, writes, timeout_s=120):
    def far_enough():
        progress = disk_record.progress(machine.serial.lines())
        return len(progress) == disks and all(each.durable >= writes for each in progress.values())

    wait_for(far_enough, timeout_s, lambda: f"{writes} durable writes: {disk_record.progress(machine.serial.lines())}")


def check(machine, images, sizes):
    """After the machine's end: nothing durable is lost, nothing is there that was not written."""
    progress = disk_record.progress(machine.serial.lines())
    assert len(progress) == len(images), progress
    for number, (path, size) in enumerate(zip(images, sizes)):
        each = progress[number]
        assert each.errors == 0 and each.io_errors == 0, each
        record = disk_record.DiskRecord(SEED, number, size // disk_record.SECTOR_BYTES)
        checked = record.check_image(path, each.durable)
        print(f"disk {number}: {each.durable} durable writes, {checked} sectors checked")
        assert os.path.getsize(path) == size


def run(arguments, ring, sizes, writes, batch=8):
    with common.Workspace() as workspace:
        images = make_images(workspace, sizes)
        machine = start(workspace, arguments,
                        f"working-set=1M rate=500 heartbeat-ms=50 disk={len(sizes)} disk-ring={ring} disk-seed={SEED} "
                        f"disk-batch={batch}", images)
        guest.wait_ready(machine)
        version = 2 if arguments.virtio == "modern" else 1
        for number in range(len(sizes)):
            line = machine.serial.wait_line(f"DISK {number} ", 30)
            assert f"slot={7 - number} version={version} " in line.text, line
        wait_writes(machine, len(sizes), writes)
        guest.expect_ok(machine, deep=True)
        guest.check_serial(machine.serial.lines())
        machine.write_serial(b"q")
        assert machine.process.wait_exit() == (1 if arguments.engine == "qemu" else 0)
        machine.serial.join()
        check(machine, images, sizes)


def main():
    arguments = common.parse_arguments((("--engine",), {"default": "qemu", "choices": ["qemu", "godwit"]}),
                                       (("--program",), {"help": "the godwit program"}),
                                       (("--virtio",), {"default": "legacy", "choices": ["legacy", "modern"]}))
    # Sizes that are no multiple of a page, and one that is written over many times.
    run(arguments, "plain", [MIB, 512 * 100], writes=300)
    run(arguments, "event", [512 * 33], writes=200, batch=32)
    run(arguments, "indirect", [MIB, MIB], writes=200)


main()
