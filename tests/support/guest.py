"""What the workload guest says on its serial port."""

import re
import typing

from .deadlines import wait_for

_HEARTBEAT = re.compile(r"HB (\d+) gen=(\d+) pages=(\d+) errors=(\d+)$")
_VERDICT = re.compile(r"VERDICT (ok|bad)(?: errors=(\d+))? pages=(\d+) gen=(\d+)( deep)?$")
_QEMU_SAYS = re.compile(r"Receiving block device images$|Completed \d+ %")
_CORRUPT = re.compile(r"CORRUPT page=(\d+) word=(\d+) found=0x([0-9a-f]+) expected=0x([0-9a-f]+) kind=(\w+)$")


class Heartbeat(typing.NamedTuple):
    time_s: float
    counter: int
    generation: int
    pages: int
    errors: int


class Verdict(typing.NamedTuple):
    ok: bool
    errors: int
    pages: int
    generation: int
    deep: bool
    time_s: float


class Corruption(typing.NamedTuple):
    page: int
    word: int
    found: int
    expected: int
    kind: str


def host_tsc_khz():
    """About the rate of the host's time stamp counter, for guests that have no other clock (`tsc-khz=`)."""
    with open("/proc/cpuinfo", encoding="ascii") as file:
        return int(float(re.search(r"^cpu MHz\s*: ([\d.]+)$", file.read(), re.MULTILINE)[1]) * 1000)


def parse_heartbeat(line):
    match = _HEARTBEAT.match(line.text)
    return Heartbeat(line.time_s, *(int(group) for group in match.groups())) if match else None


def parse_verdict(line):
    match = _VERDICT.match(line.text)
    if not match:
        return None
    word, errors, pages, generation, deep = match.groups()
    return Verdict(word == "ok", int(errors or 0), int(pages), int(generation), bool(deep), line.time_s)


def parse_corruption(line):
    match = _CORRUPT.match(line.text)
    if not match:
        return None
    page, word, found, expected, kind = match.groups()
    return Corruption(int(page), int(word), int(found, 16), int(expected, 16), kind)


def heartbeats(lines):
    return [beat for beat in map(parse_heartbeat, lines) if beat]


def joined_lines(*outputs):
    """The lines of a guest that moved through several machines, in the order of `outputs` (LineReaders). A line that was
    begun on one machine and ended on the next is put together. What a QEMU says there of disks that arrive is left out."""
    lines = []
    rest = ""
    for output in outputs:
        own = [line for line in output.lines() if not _QEMU_SAYS.match(line.text)]
        if own and rest:
            own = [type(own[0])(rest + own[0].text, own[0].time_s)] + own[1:]
            rest = ""
        lines += own
        rest += output.partial()
    return lines


def largest_gap_s(beats):
    """The longest time between two neighbouring heartbeats."""
    return max((b.time_s - a.time_s for a, b in zip(beats, beats[1:])), default=0.0)


def check_heartbeats(beats):
    """The counter goes up by one each time, generation and page count never go down, and there are no errors."""
    for a, b in zip(beats, beats[1:]):
        if b.counter != a.counter + 1:
            raise AssertionError(f"heartbeat {a.counter} is followed by {b.counter}")
        if b.generation < a.generation or b.pages < a.pages:
            raise AssertionError(f"the guest went back: {a} is followed by {b}")
    broken = [beat for beat in beats if beat.errors]
    if broken:
        raise AssertionError(f"the guest found errors: {broken[0]}")


def check_serial(lines):
    """No line tells of an error, and every line is one that the guest writes."""
    known = ("WORKLOAD ", "READY", "HB ", "VERDICT ok ", "DISK ", "IO ")
    for line in lines:
        if not line.text.startswith(known) or (line.text.startswith("HB ") and not parse_heartbeat(line)):
            raise AssertionError(f"unexpected on the serial port: {line}")


def wait_ready(machine, timeout_s=120):
    machine.serial.wait_line("READY", timeout_s)


def wait_heartbeats(machine, count, timeout_s=60, begin=0):
    """Waits for `count` whole heartbeats on this machine's serial port from line `begin` on; returns them."""
    found = []

    def enough():
        found[:] = heartbeats(machine.serial.lines(begin))
        return len(found) >= count or not machine.process.is_alive()

    wait_for(enough, timeout_s, lambda: f"{count} heartbeats of {machine.name}, there are {len(found)}")
    if len(found) < count:
        raise AssertionError(f"{machine.name} ended with status {machine.process.exit_status()} after {len(found)} heartbeats")
    return found


def ask_verdict(machine, deep=False, timeout_s=120):
    """Has the guest verify its working set. `deep` reads every word. The guest must have been ready."""
    begin = machine.serial.count()
    machine.write_serial(b"V" if deep else b"v")
    return parse_verdict(machine.serial.wait_line("VERDICT ", timeout_s, begin))


def expect_ok(machine, pages=None, deep=False, timeout_s=120):
    verdict = ask_verdict(machine, deep, timeout_s)
    if not verdict.ok:
        found = [line.text for line in machine.serial.lines() if line.text.startswith("CORRUPT")]
        raise AssertionError(f"the guest's verdict: {verdict}\n" + "\n".join(found[:20]))
    if pages is not None and verdict.pages != pages:
        raise AssertionError(f"the guest verified {verdict.pages} pages, not {pages}")
    return verdict
