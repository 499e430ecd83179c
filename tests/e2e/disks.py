"""A guest that writes two disks and its memory at full speed moves with both; afterwards its images hold its writes."""

import argparse
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import disks, guest, machines, pairs  # noqa: E402
from support.disk_guest import MIB, DiskGuest, migrate  # noqa: E402
from support.processes import Workspace  # noqa: E402
from support.qmp import QmpError  # noqa: E402

# The last chunk of the second one is a single sector.
SIZES = (48 * MIB, 9 * MIB + 512)
SPAN_BYTES = 256 * 1024


def expect_moved(machine, subject, source, destination):
    """The guest goes on at the destination, and everything is there."""
    subject.wait_writes(destination, 20)
    assert source.qmp.run_state() == "postmigrate"
    subject.power_off(machine)
    subject.check_serial()
    return subject.check_images("destination")


def at_full_speed(arguments, workspace):
    """There, and back again to where it came from."""
    subject = DiskGuest(workspace, arguments.program, arguments.workload, SIZES, ring=arguments.ring, virtio=arguments.virtio,
                        span_bytes=SPAN_BYTES)
    for path, size in zip(subject.images("source"), SIZES):
        disks.write_raw(path, size, [(SPAN_BYTES, 2 * MIB), (size // 2 // 512 * 512, 512), (size - 512, 512)])
    source = subject.start_source()
    destination = subject.start_destination(incoming=uri_for(arguments, workspace))
    uri = None if arguments.transport == "tcp" else uri_for(arguments, workspace)
    destination.qmp.run_state()
    figures = migrate(source, destination, uri)
    disk = figures["disk"]
    assert disk["total"] == sum(SIZES) and disk["remaining"] == 0, disk
    # Nine chunks have data at the beginning; the guest writes one chunk of each disk again and again.
    assert disk["x-godwit-data-chunks"] <= 9 + len(SIZES) * figures["x-godwit-passes"], f"holes were sent: {figures}"
    durable = expect_moved(destination, subject, source, destination)
    for before, after in zip(subject.images("source"), subject.images("destination")):
        same_beyond(before, after, SPAN_BYTES)
        assert disks.allocated_bytes(after) <= disks.allocated_bytes(before) + 8 * MIB, "a thin image has become thick"
    print(f"moved with two disks: {durable} durable writes, downtime {figures['downtime']} ms, {disk}")


def uri_for(arguments, workspace):
    return "tcp:127.0.0.1:0" if arguments.transport == "tcp" else f"unix:{workspace.path('stream')}"


def same_beyond(a, b, offset):
    """What the guest does not write is the same, to the last sector."""
    with open(a, "rb") as first, open(b, "rb") as second:
        assert os.fstat(first.fileno()).st_size == os.fstat(second.fileno()).st_size
        first.seek(offset), second.seek(offset)
        while piece := first.read(MIB):
            assert piece == second.read(MIB), f"{a} and {b} differ before {first.tell()}"


def of_history(arguments, workspace):
    """Two virtio disks, 512 MiB of memory, a unix socket: QEMU once divided by zero there. One disk is empty of data, and
    nothing is sent in some windows because of the limit."""
    subject = DiskGuest(workspace, arguments.program, arguments.workload, (16 * MIB, 16 * MIB), memory="512M",
                        append="working-set=64M rate=2000 heartbeat-ms=20", span_bytes=SPAN_BYTES)
    source = subject.start_source()
    uri = f"unix:{workspace.path('stream')}"
    destination = subject.start_destination(incoming=uri)
    destination.qmp.run_state()
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": 20 * MIB})
    source.qmp.command("migrate", {"uri": uri, "blk": True})
    for _ in range(20):
        figures = source.qmp.migration()
        assert figures["status"] in ("setup", "active", "completed"), figures
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": 0})
    source.qmp.wait_migration("completed")
    destination.qmp.wait_run_state("running")
    print(f"two disks, 512 MiB, unix: {expect_moved(destination, subject, source, destination)} durable writes")


def shared_images(arguments, workspace):
    """One image for both sides: only the locks pass, and who comes too early is refused."""
    subject = DiskGuest(workspace, arguments.program, arguments.workload, (4 * MIB,), span_bytes=SPAN_BYTES, shared=True)
    source = subject.start_source()
    intruder = subject.start("intruder", kernel=arguments.workload, append=subject.append)
    subject.outputs.remove(intruder.serial)
    assert intruder.process.wait_exit() == 1 and "in use" in intruder.process.stderr(), intruder.process.stderr()
    destination = subject.start_destination()
    source.qmp.command("migrate", {"uri": pairs.listening_uri(destination)})
    source.qmp.wait_migration("completed")
    destination.qmp.wait_run_state("running")
    subject.wait_writes(destination, 20)
    try:
        source.qmp.command("cont", {"force": True})
    except QmpError as error:
        assert "in use" in error.description, error
    else:
        raise AssertionError("two guests write to one image")
    # The same image as its own destination: the migration fails, and the guest goes on.
    copy = subject.start_destination("copy")
    destination.qmp.command("migrate", {"uri": pairs.listening_uri(copy), "blk": True})
    try:
        destination.qmp.wait_migration("completed")
        raise AssertionError("an image in use was written to")
    except QmpError as error:
        assert "in use" in error.description, error
    subject.outputs.remove(copy.serial)
    subject.wait_writes(destination, 20)
    subject.power_off(destination)
    print(f"one image for both: {subject.check_images('both')} durable writes")


CASES = {"at_full_speed": at_full_speed, "of_history": of_history, "shared_images": shared_images}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--workload", required=True)
    parser.add_argument("--fill-memory", help="not used here")
    parser.add_argument("--case", required=True, choices=list(CASES))
    parser.add_argument("--transport", default="tcp", choices=["tcp", "unix"])
    parser.add_argument("--ring", default="plain", choices=["plain", "event", "indirect"])
    parser.add_argument("--virtio", default="legacy", choices=["legacy", "modern"])
    arguments = parser.parse_args()
    machines.need_kvm()
    with Workspace() as workspace:
        CASES[arguments.case](arguments, workspace)


main()
