"""godwit and QEMU exchange disks of a machine without a guest: block migration, full and incremental, zeros apart or not."""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import disks, machines, pairs  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.processes import Workspace  # noqa: E402

MIB = disks.MIB
MEMORY_MIB = 16
QEMU_PC = "pc-i440fx-7.2"
# Multiples of 1 MiB: QEMU 7.2 cannot write the last chunk of anything else.
SIZES = {"d0": 24 * MIB, "d1": 3 * MIB}
BASE = {"d0": [(0, 3 * MIB), (7 * MIB + 512, MIB), (20 * MIB, 4 * MIB)], "d1": [(MIB, 4096)]}
# What an overlay has of its own: data within and beside what lies below, and zeros over it.
OVERLAY = {"d0": ([(MIB, 65536, 0x11), (12 * MIB, 2 * MIB, 0x22)], [(20 * MIB, MIB), (22 * MIB, 65536)]), "d1": ([(0, 65536, 0x33)], [])}


class Images:
    """The images of one side."""

    def __init__(self, workspace, side, kind):
        self.workspace = workspace
        self.side = side
        self.kind = kind
        self.paths = {}
        self.bases = {}
        self.servers = []

    def path(self, name):
        return self.workspace.image_path(f"{self.side}-{name}")

    def prepare(self, with_contents):
        """A source's images have contents; a destination's are empty, or hold something that must not show afterwards."""
        for name, size in SIZES.items():
            base = self.path(f"{name}.base")
            if self.kind == "raw":
                disks.write_raw(base, size, BASE[name] if with_contents else [(0, size // 2)], seed=5 if with_contents else 6)
                self.paths[name] = base
                continue
            disks.write_raw(base, size, BASE[name], seed=5)  # both sides have the same base
            self.bases[name] = base
            if self.kind == "overlay" and not with_contents:
                self.paths[name] = self.path(f"{name}.top")  # godwit makes it
            else:
                writes, zeroes = OVERLAY[name] if with_contents else ((), ())
                self.paths[name] = disks.qcow2_overlay(self.path(f"{name}.qcow2"), base, writes, zeroes)

    def format(self):
        return "raw" if self.kind == "raw" else "qcow2"

    def godwit_options(self):
        options = []
        for name, path in self.paths.items():
            if self.kind == "raw":
                options += ["--disk", f"id={name},file={path}"]
            elif self.kind == "overlay":
                options += ["--disk", f"id={name},file={path},base={self.bases[name]}"]
            else:
                server, uri = disks.serve_qcow2(self.workspace, f"{self.side}-{name}", path)
                self.servers.append(server)
                options += ["--disk", f"id={name},nbd={uri}"]
        return options

    def qemu_options(self):
        options = []
        for name, path in self.paths.items():
            options += ["-drive", f"if=none,id={name},file={path},format={self.format()}"]
        return options

    def close(self):
        for server in self.servers:
            server.signal(15)
            server.wait_exit(20)


def start_qemu_source(workspace, images):
    return pairs.start_qemu(workspace, "source", MEMORY_MIB, extra=images.qemu_options())


def start_qemu_destination(workspace, images):
    """A `-M none` has nothing to which its disks could be attached, and 7.2 insists on that at a destination."""
    qmp_path = workspace.path("destination.qmp")
    memory = workspace.memory_path("destination")
    command = [machines.QEMU, "-display", "none", "-M", f"{QEMU_PC},memory-backend=ram", "-m", f"{MEMORY_MIB}M", "-nodefaults", "-S",
               "-object", f"memory-backend-file,id=ram,size={MEMORY_MIB}M,mem-path={memory},share=on",
               "-qmp", f"unix:{qmp_path},server=on,wait=off", "-incoming", "tcp:127.0.0.1:0"]
    command += images.qemu_options()
    for name in images.paths:
        command += ["-device", f"virtio-blk-pci,drive={name}"]
    machine = machines.Machine(workspace, "destination", command, qmp_path)
    machine.memory_file = memory
    return machine


def start(arguments, workspace, images):
    source_kind, destination_kind = arguments.direction.split("-to-")
    if source_kind == "qemu":
        source = start_qemu_source(workspace, images["source"])
    else:
        extra = images["source"].godwit_options() + (["--machine-name", QEMU_PC] if destination_kind == "qemu" else [])
        source = pairs.start_godwit(workspace, "source", arguments.program, MEMORY_MIB, extra=extra)
    if destination_kind == "qemu":
        return source, start_qemu_destination(workspace, images["destination"])
    return source, pairs.start_godwit(workspace, "destination", arguments.program, MEMORY_MIB, incoming="tcp:127.0.0.1:0",
                                      extra=images["destination"].godwit_options())


def expect_figures(arguments, figures):
    """Zeros, and what the base has, are not sent where they need not be."""
    if arguments.direction.startswith("qemu"):
        return  # QEMU tells of disks only while they move
    total = sum(SIZES.values())
    disk = figures["disk"]
    assert disk["total"] == total and disk["remaining"] == 0, disk
    spares_zeros = arguments.zero_blocks == "on" or arguments.direction == "godwit-to-godwit"
    sent = figures["ram"]["transferred"]  # of the whole stream
    assert (sent < total) == (arguments.mode == "inc" or spares_zeros), (sent, total)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--direction", required=True, choices=["godwit-to-qemu", "qemu-to-godwit", "godwit-to-godwit"])
    parser.add_argument("--source-images", required=True, choices=["raw", "qcow2", "overlay"])
    parser.add_argument("--destination-images", required=True, choices=["raw", "qcow2", "overlay"])
    parser.add_argument("--mode", default="full", choices=["full", "inc"])
    parser.add_argument("--zero-blocks", default="off", choices=["on", "off"])
    arguments = parser.parse_args()
    with Workspace() as workspace:
        images = {"source": Images(workspace, "source", arguments.source_images),
                  "destination": Images(workspace, "destination", arguments.destination_images)}
        images["source"].prepare(with_contents=True)
        images["destination"].prepare(with_contents=False)
        source, destination = start(arguments, workspace, images)
        pairs.set_capability(source, "zero-blocks", arguments.zero_blocks == "on")
        # With its default limit of 300 ms, QEMU 7.2 says that it has completed before it has sent everything.
        source.qmp.command("migrate-set-parameters", {"max-bandwidth": 1 << 40, "downtime-limit": 10})
        request = {"uri": pairs.listening_uri(destination), "blk": True, **({"inc": True} if arguments.mode == "inc" else {})}
        source.qmp.command("migrate", request)
        figures = source.qmp.wait_migration("completed")
        wait_for(lambda: destination.qmp.migration().get("status") == "completed", 30, "the destination has completed")
        expect_figures(arguments, figures)
        for machine in (source, destination):
            machine.qmp.command("quit")
            assert machine.process.wait_exit() == 0, machine.process.stderr()
        for side in images.values():
            side.close()
        compare(arguments, workspace, images)
        print(f"{arguments.direction}, {arguments.mode}: {figures['ram']['transferred']} bytes, same disks")


def compare(arguments, workspace, images):
    for name, size in SIZES.items():
        source = disks.raw_contents(workspace, images["source"].paths[name], images["source"].format())
        destination = images["destination"]
        if destination.kind == "overlay":
            # Its contents are godwit's to tell: a last migration out of it, into a raw image.
            raw = flattened(arguments, workspace, destination, name, size)
        else:
            raw = disks.raw_contents(workspace, destination.paths[name], destination.format())
        disks.assert_same(source, raw)
        if arguments.mode == "inc":
            own = disks.allocated_bytes(destination.paths[name])
            assert own < size // 2, f"{name}: the layer at the destination takes {own} bytes: it holds what the base has"


def flattened(arguments, workspace, images, name, size):
    raw = disks.write_raw(workspace.image_path(f"flat-{name}"), size, [])
    sink = pairs.start_godwit(workspace, f"sink-{name}", arguments.program, MEMORY_MIB, incoming="tcp:127.0.0.1:0",
                              extra=["--disk", f"id={name},file={raw}"])
    source = pairs.start_godwit(workspace, f"layered-{name}", arguments.program, MEMORY_MIB,
                                extra=["--disk", f"id={name},file={images.paths[name]},base={images.bases[name]}"])
    source.qmp.command("migrate", {"uri": pairs.listening_uri(sink), "blk": True})
    source.qmp.wait_migration("completed")
    return raw


main()
