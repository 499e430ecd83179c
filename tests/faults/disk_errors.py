"""Disks that fail during a migration: one clear error, at the side where it happened and at the other; the guest goes on at the
source, and the next attempt works."""

import argparse
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import accelerators, disks, pairs  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.disk_guest import MIB, DiskGuest, migrate  # noqa: E402
from support.processes import Workspace  # noqa: E402
from support.qmp import QmpError  # noqa: E402

SIZE_MIB = 8
SIZE = 6 * MIB + 512
SAYS = "the destination says: "


class Pair:
    """Machines without a guest, with one disk "data"."""

    def __init__(self, workspace, program):
        self.workspace = workspace
        self.program = program
        self.image = disks.write_raw(workspace.image_path("source.img"), SIZE, [(0, SIZE)])

    def source(self, options=""):
        return pairs.start_godwit(self.workspace, "source", self.program, SIZE_MIB,
                                  extra=["--disk", f"id=data,file={self.image}{options}"])

    def destination(self, name="destination", options="", disk="data", size=SIZE, image=None):
        image = image or disks.write_raw(self.workspace.image_path(f"{name}.img"), size, [])
        return pairs.start_godwit(self.workspace, name, self.program, SIZE_MIB, incoming="tcp:127.0.0.1:0",
                                  extra=["--disk", f"id={disk},file={image}{options}"])


def fails(source, destination, **arguments):
    """Returns the figures of a migration that is to fail."""
    source.qmp.command("migrate", {"uri": pairs.listening_uri(destination), "blk": True, **arguments})
    try:
        source.qmp.wait_migration("completed")
    except QmpError:
        pass
    else:
        raise AssertionError("the migration has completed")
    figures = source.qmp.migration()
    assert figures["status"] == "failed", figures
    assert source.qmp.run_state() == "running", source.qmp.run_state()
    return figures


def expect(figures, code, *words, by_destination=False):
    assert figures["x-godwit-error-code"] == code, figures
    for word in words:
        assert word in figures["error-desc"], figures
    assert figures["error-desc"].startswith(SAYS) == by_destination, figures


def ended(destination, *words):
    assert destination.process.wait_exit() == 1
    for word in words:
        assert word in destination.process.stderr(), destination.process.stderr()


def works(pair, source, name="again"):
    destination = pair.destination(name)
    migrate(source, destination)
    disks.assert_same(pair.image, pair.workspace.image_path(f"{name}.img"))


def source_cannot_be_read(pair):
    source = pair.source(",test-fault=read:3:EIO")
    destination = pair.destination()
    expect(fails(source, destination), "disk", '"data"', "byte 2097152", "Input/output error")
    ended(destination)
    works(pair, source)


def source_cannot_be_flushed(pair):
    source = pair.source(",test-fault=flush:1:EIO")
    destination = pair.destination()
    expect(fails(source, destination), "disk", '"data"', "flush", "Input/output error")
    ended(destination)
    works(pair, source)


def destination_cannot_be_written(pair):
    source = pair.source()
    destination = pair.destination(options=",test-fault=write:2:EIO")
    expect(fails(source, destination), "disk", '"data"', "byte 1048576", "Input/output error", by_destination=True)
    ended(destination, '"data"', "byte 1048576", "Input/output error")
    works(pair, source)


def destination_is_full(pair):
    """The real thing: a file system with too little room."""
    folder = pair.workspace.path("small")
    folder.mkdir()
    if os.system(f"mount -t tmpfs -o size=3m tmpfs {folder} 2>/dev/null") != 0:
        print("no file system can be mounted here: the write fails by rule instead")
        destination = pair.destination(options=",test-fault=write:2:ENOSPC")
    else:
        pair.workspace.on_exit(lambda: os.system(f"umount {folder}"))
        destination = pair.destination(image=disks.write_raw(folder / "destination.img", SIZE, []))
    source = pair.source()
    expect(fails(source, destination), "disk", '"data"', "No space left on device", by_destination=True)
    ended(destination, "No space left on device")
    works(pair, source)


def destination_cannot_be_flushed(pair):
    source = pair.source()
    destination = pair.destination(options=",test-fault=flush:0:EIO")
    expect(fails(source, destination), "disk", '"data"', "flush", "Input/output error", by_destination=True)
    ended(destination, '"data"', "Input/output error")
    works(pair, source)


def destination_has_another_disk(pair):
    source = pair.source()
    destination = pair.destination(disk="other")
    figures = fails(source, destination)
    expect(figures, "preflight-mismatch", 'no disk "data"')
    assert figures["ram"]["transferred"] < 1000, figures
    works(pair, source)


def destination_has_another_size(pair):
    source = pair.source()
    destination = pair.destination(size=SIZE - 512)
    figures = fails(source, destination)
    expect(figures, "preflight-mismatch", str(SIZE), str(SIZE - 512))
    assert figures["ram"]["transferred"] < 1000, figures
    works(pair, source)


def destination_is_read_only(pair):
    source = pair.source()
    expect(fails(source, pair.destination(options=",readonly")), "preflight-mismatch", '"data"', "read-only")
    works(pair, source)


def destination_is_in_use(pair):
    """Although nothing would have to be written to it: the layer that moves is empty."""
    base = disks.write_raw(pair.workspace.image_path("base.img"), SIZE, [(0, SIZE)])
    source = pairs.start_godwit(pair.workspace, "source", pair.program, SIZE_MIB,
                                extra=["--disk", f"id=data,file={pair.workspace.image_path('source.top')},base={base}"])
    top = f"id=data,file={pair.workspace.image_path('destination.top')},base={base}"
    user = pairs.start_godwit(pair.workspace, "user", pair.program, SIZE_MIB, extra=["--disk", top])
    user.qmp.run_state()
    destination = pairs.start_godwit(pair.workspace, "destination", pair.program, SIZE_MIB, incoming="tcp:127.0.0.1:0",
                                     extra=["--disk", top])
    expect(fails(source, destination, inc=True), "disk", '"data"', "in use", by_destination=True)
    ended(destination, "in use")


def both_sides_have_one_export(pair):
    """A server locks its image for all its clients: only its address tells."""
    image = pair.workspace.image_path("served.qcow2")
    disks.run("qemu-img", "create", "-q", "-f", "qcow2", image, str(SIZE))
    _, uri = disks.serve_qcow2(pair.workspace, "one", image)
    start = lambda name, **options: pairs.start_godwit(  # noqa: E731
        pair.workspace, name, pair.program, SIZE_MIB, extra=["--disk", f"id=data,nbd={uri}"], **options)
    source, destination = start("source"), start("destination", incoming="tcp:127.0.0.1:0")
    figures = fails(source, destination)
    expect(figures, "preflight-mismatch", '"data" is the same image')
    # Without moving it the machine can go where it likes.
    source.qmp.command("migrate", {"uri": pairs.listening_uri(start("again", incoming="tcp:127.0.0.1:0"))})
    source.qmp.wait_migration("completed")


def qemu_has_more_than_the_destination(pair):
    """Nobody has compared sizes before."""
    image = disks.write_raw(pair.workspace.image_path("qemu.img"), 8 * MIB, [(0, 8 * MIB)])
    source = pairs.start_qemu(pair.workspace, "qemu", SIZE_MIB, extra=["-drive", f"if=none,id=data,file={image},format=raw"])
    destination = pair.destination(size=4 * MIB)
    source.qmp.command("migrate-set-parameters", {"downtime-limit": 10})
    source.qmp.command("migrate", {"uri": pairs.listening_uri(destination), "blk": True})
    # QEMU reads ahead: which byte comes first is chance.
    ended(destination, '"data" has 4194304 bytes here, and data for byte ')
    # It waits for no answer: what it has handed to its socket before the end of the connection arrives there is sent for QEMU.
    wait_for(lambda: source.qmp.migration()["status"] in ("failed", "completed"), 30,
             lambda: f"the end of QEMU's migration: {source.qmp.migration()}")


PAIR_CASES = (source_cannot_be_read, source_cannot_be_flushed, destination_cannot_be_written, destination_is_full,
              destination_cannot_be_flushed, destination_has_another_disk, destination_has_another_size,
              destination_is_read_only, destination_is_in_use, both_sides_have_one_export, qemu_has_more_than_the_destination)


def guest_with_something_to_flush(workspace, arguments):
    """The flush fault of QEMU's history: the guest has written, the flush fails, the migration is given up, the guest runs on,
    and the next migration works."""
    subject = DiskGuest(workspace, arguments, (2 * MIB,),
                        append="working-set=1M rate=100 heartbeat-ms=20 disk-flush-every=200")
    source = subject.boot("source", images=[f"{subject.images('source')[0]},test-fault=flush:1:EIO"])
    wait_for(lambda: any(each.acknowledged >= 100 for each in subject.progress().values()), 60, "writes of the guest")
    first = subject.start_destination("first")
    figures = fails(source, first)
    expect(figures, "disk", '"d0"', "flush", "Input/output error")
    assert all(each.durable == 0 and each.io_errors == 0 for each in subject.progress().values()), "the guest has flushed itself"
    subject.outputs.remove(first.serial)
    second = subject.start_destination("second")
    figures = migrate(source, second)
    assert "error-desc" not in figures, figures
    wait_for(lambda: any(each.durable >= 1600 for each in subject.progress().values()), 60, "the guest's own flush")
    subject.power_off(second)
    subject.check_serial()
    print(f"guest_with_something_to_flush: {subject.check_images('second')} durable writes after the failure")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    accelerators.add_arguments(parser)
    arguments = parser.parse_args()
    for case in PAIR_CASES:
        with Workspace() as workspace:
            case(Pair(workspace, arguments.program))
        print(case.__name__, flush=True)
    with Workspace() as workspace:
        guest_with_something_to_flush(workspace, arguments)


main()
