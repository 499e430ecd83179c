"""What the workload guest writes to its disks: the same formulas as guests/workload/disk_record.h, and checks of images."""

import math
import re
import struct
import typing

SECTOR_BYTES = 512
_WORDS = 64
_MARK = 0x444B5349444F4700
_MASK = (1 << 64) - 1
_PROGRESS = re.compile(r"IO (\d+) acknowledged=(\d+) durable=(\d+) verified=(\d+) io-errors=(\d+) errors=(\d+)$")


class Progress(typing.NamedTuple):
    disk: int
    acknowledged: int
    durable: int
    verified: int
    io_errors: int
    errors: int


def parse_progress(line):
    match = _PROGRESS.match(line.text)
    return Progress(*(int(group) for group in match.groups())) if match else None


def progress(lines):
    """The last that was said of each disk, by its number."""
    found = (parse_progress(line) for line in lines)
    return {each.disk: each for each in found if each}


def _mix(x):
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & _MASK
    return x ^ x >> 31


class DiskRecord:
    """Where each write of one disk goes, and what it writes. `span` is the number of sectors in use."""

    def __init__(self, seed, number, span):
        self.seed = seed
        self.number = number
        self.span = span
        mixed = _mix((seed + number * 0x9E3779B97F4A7C15) & _MASK)
        self.start = mixed % span
        self.step = span // 2 + (mixed >> 32) % (span // 4 + 1) + 1
        while math.gcd(self.step, span) != 1:
            self.step += 1

    def sector(self, write):
        return (write % self.span * self.step + self.start) % self.span

    def content(self, write):
        """The 512 bytes of that write."""
        words = [_MARK | self.number, write + 1, self.sector(write), self.seed]
        word = _mix(self.seed ^ ((write + 1) * 0xD1342543DE82EF95) & _MASK ^ (self.number << 56) & _MASK)
        for index in range(_WORDS - 1 - len(words)):
            words.append((word + index * 0x9E3779B97F4A7C15) & _MASK)
        words.append(sum(words) & _MASK)
        return struct.pack(f"<{_WORDS}Q", *words)

    def check_image(self, path, durable, submitted=None):
        """Every sector holds one of its writes, not older than its last durable one (of the first `durable` writes), and, where
        that is known, older than write number `submitted`. Where none is durable it may be all zeros. Returns the number of
        sectors."""
        with open(path, "rb") as image:
            for index in range(self.span):
                self._check_sector(image, path, index, durable, submitted)
        return self.span

    def _check_sector(self, image, path, index, durable, submitted):
        oldest = self._last_before(index, durable)
        image.seek(self.sector(index) * SECTOR_BYTES)
        found = image.read(SECTOR_BYTES)
        write = struct.unpack_from("<Q", found, 8)[0] - 1
        where = f"{path}, sector {self.sector(index)}"
        if write < 0:
            if oldest is not None or any(found):
                raise AssertionError(f"{where}: write {oldest} is lost")
            return
        if write % self.span != index or found != self.content(write):
            raise AssertionError(f"{where}: no write of the guest: {found[:32].hex()}...")
        if oldest is not None and write < oldest:
            raise AssertionError(f"{where}: holds write {write}, but write {oldest} was durable")
        if submitted is not None and write >= submitted:
            raise AssertionError(f"{where}: holds write {write}, but only {submitted} had been submitted")

    def _last_before(self, index, writes):
        """The last of the first `writes` writes that went to the sector of `index`, or None."""
        if writes <= index:
            return None
        return index + (writes - 1 - index) // self.span * self.span
