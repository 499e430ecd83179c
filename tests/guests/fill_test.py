"""A memory file filled by the host is what the guest expects with fill=host, and single pages of it do not compress."""

import subprocess
import zlib

import common
from common import MIB, PAGE_BYTES, guest


def fill_and_verify(arguments, pattern):
    with common.Workspace() as workspace:
        path = workspace.path("memory")
        subprocess.run([arguments.fill_memory, path, "64M", "32M", pattern], check=True)
        if pattern != "zero":
            with open(path, "rb") as file:
                file.seek(5 * MIB)
                page = file.read(PAGE_BYTES)
            assert len(zlib.compress(page, 9)) > 0.95 * PAGE_BYTES, "a page compresses"
        machine = common.start(workspace, arguments, f"working-set=32M pattern={pattern} fill=host rate=1000",
                               memory_file=path)
        guest.wait_ready(machine)
        guest.expect_ok(machine, pages=32 * MIB // PAGE_BYTES, deep=True)


def damaged_file_is_seen(arguments):
    with common.Workspace() as workspace:
        path = workspace.path("memory")
        subprocess.run([arguments.fill_memory, path, "64M", "32M", "small"], check=True)
        with open(path, "r+b") as file:
            file.seek(20 * MIB + 5)
            file.write(b"x")
        machine = common.start(workspace, arguments, "working-set=32M pattern=constant fill=host rate=100", memory_file=path)
        guest.wait_ready(machine)
        assert not guest.ask_verdict(machine).ok
        corruption = guest.parse_corruption(machine.serial.wait_line("CORRUPT"))
        assert corruption.page == 20 * MIB // PAGE_BYTES, corruption


def main():
    arguments = common.parse_arguments()
    for pattern in ("small", "random", "zero", "constant"):
        fill_and_verify(arguments, pattern)
    damaged_file_is_seen(arguments)
    bad = subprocess.run([arguments.fill_memory, "/dev/null", "64M", "61M", "small"], stderr=subprocess.PIPE, check=False)
    assert bad.returncode == 2 and b"does not fit" in bad.stderr, bad


main()
