"""A guest that writes two disks and its memory at full speed moves with both; afterwards its images hold its writes."""

import argparse
import math
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import accelerators, disk_record, disks, guest, pairs  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.disk_guest import MIB, DiskGuest, migrate  # noqa: E402
from support.processes import Workspace  # noqa: E402
from support.qmp import QmpError  # noqa: E402

# Several windows in which throughput is measured.
SILENCE_S = 0.5
# The last chunk of the second one is a single sector.
SIZES = (48 * MIB, 9 * MIB + 512)
SPAN_BYTES = 256 * 1024


def expect_end(subject, machine, side):
    """The guest ends there, and everything is in that side's images."""
    subject.power_off(machine)
    subject.check_serial()
    return subject.check_images(side)


def expect_moved(subject, source, destination):
    """The guest goes on at the destination."""
    subject.wait_writes(destination, 20)
    assert source.qmp.run_state() == "postmigrate"


def at_full_speed(arguments, workspace):
    """There, and back again to a new program with the images that were left, which are old by then."""
    subject = DiskGuest(workspace, arguments, SIZES, ring=arguments.ring, virtio=arguments.virtio,
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
    # Ten chunks have data at the beginning; the guest writes one chunk of each disk again and again.
    assert disk["x-godwit-data-chunks"] <= 10 + len(SIZES) * figures["x-godwit-passes"], f"holes were sent: {figures}"
    expect_moved(subject, source, destination)
    allocated = [disks.allocated_bytes(path) for path in subject.images("source")]
    compare_rest(subject, allocated)
    source.qmp.command("quit")
    assert source.process.wait_exit() == 0, source.process.stderr()

    home = subject.start_destination("home", incoming=uri_for(arguments, workspace, "back"), images=subject.images("source"))
    home.qmp.run_state()
    back = migrate(destination, home, None if arguments.transport == "tcp" else uri_for(arguments, workspace, "back"))
    expect_moved(subject, destination, home)
    durable = expect_end(subject, home, "source")
    compare_rest(subject, allocated)
    print(f"moved with two disks: {durable} durable writes, downtime {figures['downtime']} and {back['downtime']} ms, {disk}")


def uri_for(arguments, workspace, name="stream"):
    return "tcp:127.0.0.1:0" if arguments.transport == "tcp" else f"unix:{workspace.path(name)}"


def compare_rest(subject, allocated):
    """What the guest does not write is the same in both sides' images, and takes no more room than at the begin."""
    for here, there, most in zip(subject.images("source"), subject.images("destination"), allocated):
        same_beyond(here, there, SPAN_BYTES)
        for path in (here, there):
            assert disks.allocated_bytes(path) <= most + 8 * MIB, f"the thin image {path} has become thick"


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
    subject = DiskGuest(workspace, arguments, (16 * MIB, 16 * MIB), memory="512M",
                        append="working-set=64M rate=2000 heartbeat-ms=20", span_bytes=SPAN_BYTES)
    source = subject.start_source()
    uri = f"unix:{workspace.path('stream')}"
    destination = subject.start_destination(incoming=uri)
    destination.qmp.run_state()
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": 4096})
    source.qmp.command("migrate", {"uri": uri, "blk": True})
    looks = watch(source, 1, 0)
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": 1})
    looks += watch(source, 0, SILENCE_S)
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": 0})
    source.qmp.wait_migration("completed")
    destination.qmp.wait_run_state("running")
    expect_moved(subject, source, destination)
    print(f"two disks, 512 MiB, unix: {expect_end(subject, destination, 'destination')} durable writes, "
          f"{looks} looks at a migration that crawls")


def watch(source, time_s, silence_s):
    """Looks at the figures of a migration that is allowed next to nothing, for so long at least, and until nothing at all was sent
    for `silence_s`. Returns how often."""
    looks = 0
    begin = last_change = time.monotonic()
    sent = None

    def crawled():
        nonlocal looks, last_change, sent
        figures = source.qmp.migration()
        now = time.monotonic()
        assert figures["status"] in ("setup", "active"), figures
        if figures["status"] == "setup":
            last_change = now
            return False
        expect_sane(figures)
        looks += 1
        if figures["ram"]["transferred"] != sent:
            sent, last_change = figures["ram"]["transferred"], now
        return now - begin >= time_s and now - last_change >= silence_s

    wait_for(crawled, 30, lambda: f"a window without bytes: {source.qmp.migration()}")
    return looks


def expect_sane(figures):
    """Finite, and not more than there is."""
    ram, disk = figures["ram"], figures["disk"]
    assert math.isfinite(ram["mbps"]) and 0 <= ram["mbps"] < 1e6, figures
    assert 0 <= figures["expected-downtime"] < 1e12, figures
    assert 0 <= ram["remaining"] <= ram["total"], figures
    # A chunk that was written before the first pass has come to it counts twice: at most one of each disk.
    assert 0 <= disk["remaining"] <= disk["total"] + 2 * MIB, figures
    assert disk["total"] == 32 * MIB and ram["total"] >= 512 * MIB, figures
    assert 0 <= disk["transferred"] <= ram["transferred"], figures
    assert math.isfinite(ram["pages-per-second"]) and ram["pages-per-second"] >= 0, figures


def shared_images(arguments, workspace):
    """One image for both sides: only the locks pass, and who comes too early is refused."""
    subject = DiskGuest(workspace, arguments, (4 * MIB,), span_bytes=SPAN_BYTES, shared=True)
    source = subject.start_source()
    intruder = subject.boot("intruder")
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


def slow_request(arguments, workspace):
    """A request of the guest that takes much longer than a switchover may: nobody waits for it but the guest."""
    delay_s = 6
    subject = DiskGuest(workspace, arguments, (4 * MIB,), memory="16M",
                        append="working-set=1M rate=200 heartbeat-ms=20", span_bytes=SPAN_BYTES)
    image = f"{subject.images('source')[0]},test-fault=write:60:delay={1000 * delay_s}"
    source = subject.boot("source", images=[image])
    guest.wait_ready(source)
    wait_for(lambda: stands_still(source), 30, "the disk stands still")
    begin = time.monotonic()
    destination = subject.start_destination()
    source.qmp.command("migrate-set-parameters", {"switchover-timeout": 500})
    source.qmp.command("migrate", {"uri": pairs.listening_uri(destination), "blk": True})
    try:
        source.qmp.wait_migration("completed")
        raise AssertionError("the guest has moved without its request")
    except QmpError as error:
        assert "was not done within the switchover deadline" in error.description, error
    assert source.qmp.run_state() == "running"
    source.qmp.command("stop")
    assert source.qmp.run_state() == "paused"
    source.qmp.command("cont")
    assert time.monotonic() - begin < delay_s, "somebody has waited for the disk"
    subject.outputs.remove(destination.serial)
    subject.wait_writes(source, 20)
    next_one = subject.start_destination("next", images=subject.images("destination"))
    migrate(source, next_one)
    expect_moved(subject, source, next_one)
    print(f"a request of {delay_s} s: {expect_end(subject, next_one, 'destination')} durable writes")


def stands_still(machine):
    """The guest has said so often that nothing was written that only the fault takes so long."""
    said = [each for each in map(disk_record.parse_progress, machine.serial.lines()) if each][-15:]
    return len(said) == 15 and said[0] == said[-1]


CASES = {"at_full_speed": at_full_speed, "slow_request": slow_request, "of_history": of_history, "shared_images": shared_images}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    accelerators.add_arguments(parser)
    parser.add_argument("--fill-memory", help="not used here")
    parser.add_argument("--case", required=True, choices=list(CASES))
    parser.add_argument("--transport", default="tcp", choices=["tcp", "unix"])
    parser.add_argument("--ring", default="plain", choices=["plain", "event", "indirect"])
    parser.add_argument("--virtio", default="legacy", choices=["legacy", "modern"])
    arguments = parser.parse_args()
    with Workspace() as workspace:
        CASES[arguments.case](arguments, workspace)


main()
