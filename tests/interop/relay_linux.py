"""A Linux of Debian moves from one QEMU to another through `godwit relay`: what it counts on its console goes on."""

import argparse
import pathlib
import re
import stat
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import machines, pairs  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.processes import Workspace  # noqa: E402
from support.relaying import RelayProgram  # noqa: E402

INIT = b"""#!/bin/busybox sh
i=0
while true; do
    echo "count $i"
    i=$((i+1))
    /bin/busybox usleep 50000
done
"""
COUNTED_BEFORE, COUNTED_AFTER = 20, 60


def download(folder):
    """The packages' contents: folder with boot/vmlinuz-* and bin/busybox. None where Debian cannot be reached."""
    contents = folder / "contents"
    if not (contents / "bin/busybox").exists():
        folder.mkdir(parents=True, exist_ok=True)
        depends = subprocess.run(["apt-cache", "depends", "linux-image-cloud-amd64"], capture_output=True, text=True, check=False).stdout
        kernels = re.findall(r"Depends: (linux-image-\S+)", depends)
        if not kernels or subprocess.run(["apt-get", "download", kernels[0], "busybox-static"], cwd=folder, check=False).returncode != 0:
            return None
        for package in sorted(folder.glob("*.deb")):
            pairs.run_checked(["dpkg-deb", "--extract", package, contents])
    return contents


def newc(name, mode, data=b"", number=0, device=(0, 0)):
    """A file in an archive of cpio's format newc, which Linux takes as its first root."""
    path = name.encode() + b"\0"
    fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def write_initrd(path, busybox):
    files = [newc("bin", stat.S_IFDIR | 0o755, number=1), newc("dev", stat.S_IFDIR | 0o755, number=2),
             newc("dev/console", stat.S_IFCHR | 0o600, number=3, device=(5, 1)),
             newc("bin/busybox", stat.S_IFREG | 0o755, busybox.read_bytes(), number=4),
             newc("init", stat.S_IFREG | 0o755, INIT, number=5), newc("TRAILER!!!", 0)]
    path.write_bytes(b"".join(files))


def start(workspace, name, kernel, initrd, incoming=None):
    qmp_path = workspace.path(f"{name}.qmp")
    command = [machines.QEMU, "-M", "pc", "-accel", "tcg", "-m", "256M", "-nodefaults", "-no-user-config", "-display", "none",
               "-serial", "stdio", "-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1",
               "-qmp", f"unix:{qmp_path},server=on,wait=off", *(["-incoming", incoming] if incoming else [])]
    return machines.Machine(workspace, name, command, qmp_path)


def text_of(machine):
    return "".join(line.text + "\n" for line in machine.serial.lines()) + machine.serial.partial()


def counted(text):
    return [int(number) for number in re.findall(r"^count (\d+)$", text, re.MULTILINE)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--folder", required=True, type=pathlib.Path, help="for Debian's packages")
    arguments = parser.parse_args()
    contents = download(arguments.folder)
    if contents is None:
        print("Debian's packages cannot be downloaded here: the test is skipped")
        sys.exit(machines.SKIPPED)
    kernel = sorted((contents / "boot").glob("vmlinuz-*"))[0]
    with Workspace() as workspace:
        initrd = workspace.path("initrd")
        write_initrd(initrd, contents / "bin/busybox")
        source = start(workspace, "source", kernel, initrd)
        source.serial.wait_line(f"count {COUNTED_BEFORE}", timeout_s=240)
        destination = start(workspace, "destination", kernel, initrd, incoming="tcp:127.0.0.1:0")
        relay = RelayProgram(workspace, arguments.program, pairs.listening_uri(destination))
        pairs.set_capability(source, "return-path", True)
        source.qmp.command("migrate", {"uri": relay.uri})
        source.qmp.wait_migration("completed", timeout_s=120)
        destination.qmp.wait_run_state("running")
        status, summary = relay.wait_end()
        assert status == 0 and summary["answers"]["shut"] == 0, (status, summary, relay.process.stderr())
        last = counted(text_of(source))[-1]
        wait_for(lambda: len(destination.serial.lines()) > COUNTED_AFTER, 120, "the console at the destination")
        numbers = counted(text_of(source) + text_of(destination))
        assert numbers[-1] > last + COUNTED_AFTER // 2, (last, numbers[-1])
        assert numbers == list(range(numbers[-1] + 1)), f"a gap or a repetition in {numbers}"
        blocks = {block["id"]: block for block in summary["stream"]["blocks"]}
        assert blocks["pc.ram"]["size"] == 256 << 20, blocks
        print(f"Linux counted to {last} at the source and to {numbers[-1]} at the destination, nothing left out; "
              f"{summary['forward-bytes']} bytes in {summary['stream']['passes']} passes, {len(summary['stream']['devices'])} device "
              f"sections, {summary['stop-to-end-ms']:.1f} ms from the stop to the end")


main()
