"""Pairs of machines without a guest (`--machine none`, QEMU's `-M none`) whose memory files can be compared byte by byte."""

import os
import random
import subprocess

from . import machines, memory_compare
from .deadlines import wait_for

MIB = 1 << 20
PAGE = 4096
QEMU_2013 = ("-global", "migration.send-configuration=off", "-global", "migration.send-section-footer=off",
             "-global", "migration.store-global-state=off")


def write_memory(path, size_mib, seed=1):
    """A memory file with runs of random, constant and zero pages, the last ones holes."""
    generator = random.Random(seed)
    with open(path, "wb") as file:
        left = size_mib * MIB // PAGE
        while left:
            pages = min(left, generator.randrange(1, 400))
            kind = generator.randrange(4)
            if kind == 0:
                file.write(bytes(pages * PAGE))
            elif kind == 1:
                file.write(bytes([generator.randrange(1, 256)]) * (pages * PAGE))
            elif kind == 2:
                file.write(generator.randbytes(pages * PAGE))
            else:
                file.seek(pages * PAGE, os.SEEK_CUR)
            left -= pages
        file.truncate(size_mib * MIB)


def start_godwit(workspace, name, program, size_mib, **options):
    """`memory_file` is made on a memory file system unless it is given."""
    options.setdefault("memory_file", workspace.memory_path(name))
    machine = machines.start_godwit(workspace, name, program, machine="none", memory=f"{size_mib}M", **options)
    machine.memory_file = options["memory_file"]
    return machine


def start_qemu(workspace, name, size_mib, incoming=None, memory_file=None, legacy=False, extra=()):
    path = memory_file or workspace.memory_path(name)
    qmp_path = workspace.path(f"{name}.qmp")
    machine_type = "none,memory-backend=ram" + (",suppress-vmdesc=on" if legacy else "")
    command = [machines.QEMU, "-display", "none", "-M", machine_type, "-m", f"{size_mib}M", "-nodefaults",
               "-object", f"memory-backend-file,id=ram,size={size_mib}M,mem-path={path},share=on",
               "-qmp", f"unix:{qmp_path},server=on,wait=off"]
    command += list(QEMU_2013 if legacy else ()) + (["-incoming", incoming] if incoming else []) + list(extra)
    machine = machines.Machine(workspace, name, command, qmp_path)
    machine.memory_file = path
    return machine


def listening_uri(machine):
    """Where an incoming machine listens (tcp), as a URI."""
    def listening():
        addresses = machine.qmp.migration().get("socket-address", [])
        return addresses[0] if addresses else None

    return f"tcp:127.0.0.1:{wait_for(listening, 30, 'the destination listens')['port']}"


def listening_port(machine):
    return int(listening_uri(machine).rsplit(":", 1)[1])


def set_capability(machine, name, state):
    machine.qmp.command("migrate-set-capabilities", {"capabilities": [{"capability": name, "state": state}]})


def assert_same_memory(a, b):
    memory_compare.assert_equal(a.memory_file, b.memory_file)


def run_checked(command, **options):
    return subprocess.run([str(part) for part in command], check=True, **options)
