"""Codes that a saved stream leads to at a destination that does not take it."""

import functools

from support import disks
from support.processes import Workspace

from ground import SIZE_MIB, Ground

DISK_BYTES = 1 << 20
# A section's head: type, number, then the name with its length; instance and version follow.
RAM_HEAD = b"\x03ram" + bytes(4)
RUN_STATE_HEAD = b"\x0bglobalstate"
RUN_STATE_BYTES = 100


def save(ground, *options, **arguments):
    source = ground.source(extra=options)
    path = ground.workspace.path("saved")
    source.qmp.command("migrate", {"uri": f"file:{path}", **arguments})
    source.qmp.wait_migration("completed")
    return path.read_bytes()


@functools.cache
def good_stream(program):
    """What most cases spoil; made once."""
    with Workspace() as workspace:
        return save(Ground(program, None, workspace))


def replaced(stream, at, data):
    return stream[:at] + data + stream[at + len(data):]


def spoilt(spoil, names, *options):
    """A case: what `spoil` makes of a good stream."""
    return lambda ground: ground.load(spoil(good_stream(ground.program)), *options, names=names)


def without_run_state_end(stream):
    """The text of the run state without the zero byte at its end."""
    # After the head: instance, version, and the text's size, four bytes each.
    at = stream.index(RUN_STATE_HEAD) + len(RUN_STATE_HEAD) + 12
    return replaced(stream, at, b"r" * RUN_STATE_BYTES)


def ram_mismatch(ground):
    return ground.load(good_stream(ground.program), names=[SIZE_MIB << 20, 2 * SIZE_MIB << 20], size_mib=2 * SIZE_MIB)


def disk_mismatch(ground):
    """A stream with a disk, to a machine without one."""
    image = disks.write_raw(ground.workspace.image_path("disk"), DISK_BYTES, [(0, 4096)])
    return ground.load(save(ground, "--disk", f"id=d0,file={image}", blk=True), names=['"d0"', "same names"])


CASES = {
    "stream-truncated": spoilt(lambda good: good[:len(good) // 2], ["stream ends after"]),
    "stream-corrupt": spoilt(lambda good: replaced(good, 0, b"X"), ["QEVM"]),
    "stream-version": spoilt(lambda good: replaced(good, 7, b"\x09"), ["version 9"]),
    "unknown-section": spoilt(lambda good: replaced(good, good.index(RUN_STATE_HEAD), b"\x0bstrangeness"), ['"strangeness"']),
    "section-version": spoilt(lambda good: replaced(good, good.index(RAM_HEAD) + len(RAM_HEAD), b"\0\0\0\x63"), ['"ram"', "99"]),
    "machine-mismatch": spoilt(lambda good: good, ["'none'", "'other'"], "--machine-name", "other"),
    "device-state": spoilt(without_run_state_end, ['"globalstate"']),
    "ram-mismatch": ram_mismatch,
    "disk-mismatch": disk_mismatch,
}
