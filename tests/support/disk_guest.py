"""The workload guest with disks on a pair of godwits: its images, its moves, and whether it has what it was told is durable."""

import os

from . import accelerators, disk_record, guest, machines, pairs
from .deadlines import wait_for

MIB = 1 << 20
SEED = 11


class DiskGuest:
    """One guest with a disk for each of `sizes`. Each side has images of its own, unless they are shared."""

    def __init__(self, workspace, arguments, sizes, *, memory="48M", append="working-set=8M rate=0 heartbeat-ms=20",
                 ring="plain", span_bytes=0, batch=8, virtio="legacy", shared=False):
        self.workspace = workspace
        self.platform = accelerators.Platform(arguments)
        self.sizes = sizes
        self.memory = memory
        self.span_bytes = span_bytes
        self.virtio = virtio
        self.shared = shared
        self.append = f"{append} disk={len(sizes)} disk-ring={ring} disk-batch={batch} disk-seed={SEED}"
        self.append += f" disk-span={span_bytes}" if span_bytes else ""
        self.outputs = []

    def images(self, side):
        side = "both" if self.shared else side
        paths = [self.workspace.image_path(f"{side}-{number}.img") for number in range(len(self.sizes))]
        for path, size in zip(paths, self.sizes):
            if not os.path.exists(path):
                with open(path, "wb") as image:
                    image.truncate(size)
        return paths

    def start(self, side, **options):
        """`images` in place of those of the side."""
        images = options.pop("images", None) or self.images(side)
        extra = machines.godwit_disks(images, self.virtio == "modern") + list(options.pop("extra", ()))
        machine = self.platform.start(self.workspace, side, memory=self.memory, extra=extra, **options)
        self.outputs.append(machine.serial)
        return machine

    def boot(self, side, **options):
        """The guest begins there."""
        return self.start(side, **self.platform.boots(self.append), **options)

    def start_source(self, **options):
        source = self.boot("source", **options)
        guest.wait_ready(source)
        self.wait_writes(source, 20)
        return source

    def start_destination(self, name="destination", incoming="tcp:127.0.0.1:0", **options):
        return self.start(name, incoming=incoming, **options)

    def progress(self):
        return disk_record.progress(guest.joined_lines(*self.outputs))

    def wait_writes(self, machine, more):
        """Until each disk has so many more durable writes, told by this machine."""
        begin = self.progress()

        def far_enough():
            now = disk_record.progress(machine.serial.lines())
            return len(now) == len(self.sizes) and all(
                each.durable >= (begin[number].durable if number in begin else 0) + more for number, each in now.items())

        wait_for(far_enough, 60, lambda: f"{more} more durable writes on {machine.name}: {self.progress()}")

    def power_off(self, machine):
        """The guest checks memory and disks, then ends."""
        guest.expect_ok(machine, deep=False)
        machine.write_serial(b"q")
        assert machine.process.wait_exit() == 0, machine.process.stderr()
        machine.serial.join()

    def check_images(self, side, images=None):
        """Whatever the guest was told is durable is in the side's images, and nothing else than its writes. Returns the number
        of durable writes."""
        progress = self.progress()
        assert len(progress) == len(self.sizes), progress
        for number, (path, size) in enumerate(zip(images or self.images(side), self.sizes)):
            each = progress[number]
            assert each.errors == 0 and each.io_errors == 0, each
            span = min(self.span_bytes or size, size) // disk_record.SECTOR_BYTES
            disk_record.DiskRecord(SEED, number, span).check_image(path, each.durable)
            assert os.path.getsize(path) == size, path
        return sum(each.durable for each in progress.values())

    def check_serial(self):
        lines = guest.joined_lines(*self.outputs)
        guest.check_serial(lines)
        guest.check_heartbeats(guest.heartbeats(lines))


def migrate(source, destination, uri=None, **arguments):
    """Moves the machine with its disks; returns the source's figures."""
    request = {"uri": uri or pairs.listening_uri(destination), "blk": True, **arguments}
    source.qmp.command("migrate", request)
    figures = source.qmp.wait_migration("completed")
    destination.qmp.wait_run_state("running")
    return figures
