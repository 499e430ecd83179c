"""Codes to which a guest brings its machine."""

import os
import struct

from support import machines

ADDRESS = 0x100000
# mov eax, 0xd0000000; jmp eax: there is neither memory nor a device.
INTO_NOWHERE = b"\xb8\x00\x00\x00\xd0\xff\xe0"


def kernel(code):
    """A 32-bit ELF file with a PVH note that begins with `code`."""
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen", ADDRESS)
    begin = 52 + 2 * 32
    header = b"\x7fELF\x01\x01\x01".ljust(16, b"\0") + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, ADDRESS, 52, 0, 0, 52, 32, 2, 0, 0, 0)
    load = struct.pack("<8I", 1, begin + len(note), ADDRESS, ADDRESS, len(code), len(code), 7, 1)
    notes = struct.pack("<8I", 4, begin, 0, 0, len(note), len(note), 4, 4)
    return header + load + notes + note + code


def vcpu(ground):
    if not machines.kvm_works():
        assert os.environ.get("GODWIT_REQUIRE_KVM") != "1", "KVM does not work here: GODWIT_REQUIRE_KVM=1 wants it"
        return "KVM does not work here"
    path = ground.workspace.path("kernel")
    path.write_bytes(kernel(INTO_NOWHERE))
    return ground.run("run", "--accel", "kvm", "--memory", "4M", "--serial", "none", "--kernel", path, "--log-level", "error", status=1,
                      names=["virtual CPU 0", "RIP 0xd0000000"])


CASES = {"vcpu": vcpu}
