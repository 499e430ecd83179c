"""Disk images for tests: their contents, their layers, and whether two are the same."""

import os
import random
import subprocess

MIB = 1 << 20


def run(*command):
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


def write_raw(path, size_bytes, pieces, seed=1):
    """A sparse raw image with random data in `pieces`, a list of (offset, bytes)."""
    generator = random.Random(seed)
    with open(path, "wb") as file:
        file.truncate(size_bytes)
        for offset, count in pieces:
            file.seek(offset)
            file.write(generator.randbytes(count))
    return path


def qcow2_overlay(path, base, writes=(), zeroes=()):
    """A qcow2 image over a raw one, with stretches of its own: (offset, bytes, value) and zeros (offset, bytes)."""
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base, path)
    commands = [f"write -q -P {value} {offset} {count}" for offset, count, value in writes]
    commands += [f"write -q -z {offset} {count}" for offset, count in zeroes]
    for command in commands:
        run("qemu-io", "-f", "qcow2", "-c", command, path)
    return path


def raw_contents(workspace, path, image_format):
    """The whole contents as a raw file."""
    if image_format == "raw":
        return path
    raw = workspace.path(os.path.basename(path) + ".raw")
    run("qemu-img", "convert", "-q", "-f", image_format, "-O", "raw", path, raw)
    return raw


def assert_same(a, b):
    """Compares two raw files, and says where they differ."""
    with open(a, "rb") as first, open(b, "rb") as second:
        at = 0
        while True:
            left, right = first.read(MIB), second.read(MIB)
            if left != right:
                here = next((i for i, (x, y) in enumerate(zip(left, right)) if x != y), min(len(left), len(right)))
                raise AssertionError(f"{a} and {b} differ at byte {at + here} (of {len(left)} and {len(right)} in this piece)")
            if not left:
                return
            at += MIB


def allocated_bytes(path):
    return os.stat(path).st_blocks * 512


def serve_qcow2(workspace, name, path, read_only=False):
    """qemu-nbd with block status, at a unix socket; returns the NBD URI."""
    socket = workspace.path(f"{name}.nbd")
    command = ["qemu-nbd", "--persistent", "--shared=4", "--allocation-depth", "-f", "qcow2", "-k", str(socket), str(path)]
    process = workspace.start(f"nbd-{name}", command + (["--read-only"] if read_only else []))
    from .deadlines import wait_for  # pylint: disable=import-outside-toplevel

    wait_for(lambda: os.path.exists(socket) or not process.is_alive(), 20, f"qemu-nbd serves {path}")
    return process, f"nbd+unix:///?socket={socket}"
