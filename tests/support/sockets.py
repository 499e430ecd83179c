"""Which sockets a process has open, and where they can be reached."""

import contextlib
import ipaddress
import os
import pathlib
import re
import struct
import typing

_LISTENING_TCP = "0A"
_UNIX_LISTENING = 1 << 16  # the flag __SO_ACCEPTCON


class Listener(typing.NamedTuple):
    """`kind`: tcp, udp or unix. `host` is an address, or the path of a unix socket ("" for one without a name)."""

    kind: str
    host: str
    port: int


def _address(text, width):
    """An address as /proc/net has it: words of 32 bits, each in the host's byte order."""
    words = [int(text[i:i + 8], 16) for i in range(0, width, 8)]
    return str(ipaddress.ip_address(struct.pack(f"={len(words)}I", *words)))


def _inodes(pid):
    found = set()
    for path in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(path))
            if match:
                found.add(match[1])
    return found


def _internet(pid, inodes):
    for kind, name in (("tcp", "tcp"), ("tcp", "tcp6"), ("udp", "udp"), ("udp", "udp6"), ("raw", "raw"), ("raw", "raw6")):
        path = pathlib.Path(f"/proc/{pid}/net/{name}")
        if not path.exists():
            continue
        for line in path.read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            host, port = fields[1].split(":")
            # A datagram socket that is bound receives from anybody, whatever its state.
            if fields[9] in inodes and (kind != "tcp" or fields[3] == _LISTENING_TCP):
                yield Listener(kind, _address(host, len(host)), int(port, 16))


def _unix(pid, inodes):
    for line in pathlib.Path(f"/proc/{pid}/net/unix").read_text(encoding="utf-8", errors="replace").splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if fields[6] in inodes and int(fields[3], 16) & _UNIX_LISTENING:
            # It was bound under another name than the one that it got when it listened.
            yield Listener("unix", re.sub(r"\.[0-9a-f]{6}$", "", fields[7]) if len(fields) > 7 else "", 0)


def listeners(process):
    """All places at which `process` can be reached from outside."""
    inodes = _inodes(process.pid)
    return sorted([*_internet(process.pid, inodes), *_unix(process.pid, inodes)])
