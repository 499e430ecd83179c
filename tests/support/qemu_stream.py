"""Takes RAM blocks out of a stream that QEMU saved, so that a machine without them can load it."""

import struct

_PAGE_BYTES = 4096
_OFFSET_FLAGS = _PAGE_BYTES - 1
_ZERO, _MEM_SIZE, _PAGE, _EOS, _CONTINUE = 0x02, 0x04, 0x08, 0x10, 0x20
_START, _PART, _END, _FULL, _CONFIGURATION, _FOOTER = 0x01, 0x02, 0x03, 0x04, 0x07, 0x7E


class _Copier:
    def __init__(self, data, dropped):
        self.data = data
        self.dropped = dropped
        self.at = 0
        self.out = bytearray()
        self.block = None

    def take(self, count):
        piece = self.data[self.at:self.at + count]
        if len(piece) != count:
            raise ValueError(f"the stream ends at byte {len(self.data)}, within {count} bytes from {self.at} on")
        self.at += count
        return piece

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def name(self):
        return self.take(self.number(">B"))

    def keep(self, begin):
        self.out += self.data[begin:self.at]

    def header(self):
        begin = self.at
        if self.take(8) != b"QEVM\0\0\0\3" or self.number(">B") != _CONFIGURATION:
            raise ValueError("no stream of QEMU")
        self.take(self.number(">I"))
        self.keep(begin)

    def blocks(self, total):
        kept, listed = 0, bytearray()
        while total:
            name = self.name()
            size = self.number(">Q")
            total -= size
            if name.decode() not in self.dropped:
                kept += size
                listed += bytes([len(name)]) + name + struct.pack(">Q", size)
        self.out += struct.pack(">Q", kept | _MEM_SIZE) + listed

    def records(self):
        """Up to the end of a section. Every record names its block in what is written."""
        while True:
            head = self.number(">Q")
            flags = head & _OFFSET_FLAGS
            if flags == _EOS:
                self.out += struct.pack(">Q", head)
                return
            if flags == _MEM_SIZE:
                self.blocks(head & ~_OFFSET_FLAGS)
                continue
            if not flags & _CONTINUE:
                self.block = self.name()
            body = self.take(_PAGE_BYTES if flags & _PAGE else 1)
            if self.block.decode() not in self.dropped:
                self.out += struct.pack(">QB", head & ~_CONTINUE, len(self.block)) + self.block + body

    def section(self):
        """False for one that does not belong to memory."""
        begin = self.at
        kind = self.number(">B")
        self.take(4)
        if kind == _START:
            if self.name() != b"ram":
                raise ValueError("a section that is not memory comes first")
            self.take(8)
        elif kind not in (_PART, _END):
            self.at = begin
            return False
        self.keep(begin)
        self.records()
        begin = self.at
        if self.number(">B") != _FOOTER:
            raise ValueError(f"no end of a section at byte {begin}")
        self.take(4)
        self.keep(begin)
        return True


def without_blocks(data, names):
    """The stream `data` without the RAM blocks of these names. XBZRLE and compression must have been off."""
    copier = _Copier(data, set(names))
    copier.header()
    while copier.section():
        pass
    return bytes(copier.out) + data[copier.at:]
