"""Damage done on purpose is found and named: the guest's verdict can be trusted."""

import common
from common import guest

PAGES = 256
DAMAGED = (4 * common.MIB) // common.PAGE_BYTES + PAGES // 2
# What the damage looks like to whoever touches the page next, and to a deep verification.
EXPECTED = {"corrupt": ("torn", 219), "stale": ("stale", 0), "lost": ("lost", 0), "torn": ("torn", 511)}


def found(machine, text):
    return [line for line in machine.serial.lines() if line.text.startswith(text)]


def touch_finds(arguments, selftest, kind, word):
    with common.Workspace() as workspace:
        machine = common.start(workspace, arguments, f"working-set=1M rate=20000 heartbeat-ms=50 selftest={selftest}")
        machine.serial.wait_line("CORRUPT", 120)
        verdict = guest.ask_verdict(machine)
        assert not verdict.ok and verdict.errors >= 1, verdict
        corruption = guest.parse_corruption(found(machine, "CORRUPT")[0])
        assert (corruption.page, corruption.word, corruption.kind) == (DAMAGED, word, kind), corruption
        assert corruption.found != corruption.expected
        # The page was rewritten: the guest goes on and does not report it again.
        guest.wait_heartbeats(machine, 3, begin=machine.serial.count())
        assert len(found(machine, "CORRUPT")) == 1, found(machine, "CORRUPT")


def verification_finds(arguments, selftest, line):
    """What no touch reads: the background (by a deep verification) and the guest's own image."""
    with common.Workspace() as workspace:
        machine = common.start(workspace, arguments, f"working-set=1M rate=5000 heartbeat-ms=50 fill=full selftest={selftest}")
        machine.serial.wait_line(lambda text: text.startswith("HB ") and int(text.split("gen=")[1].split()[0]) >= 3, 120)
        assert guest.ask_verdict(machine).ok == (selftest == "byte"), "the check words alone"
        assert not guest.ask_verdict(machine, deep=True).ok
        assert found(machine, line), machine.serial.lines()


def constant_memory(arguments):
    with common.Workspace() as workspace:
        machine = common.start(workspace, arguments, "working-set=1M pattern=constant heartbeat-ms=50 selftest=stale")
        corruption = guest.parse_corruption(machine.serial.wait_line("CORRUPT", 120))
        assert corruption.kind == "stale", corruption


def main():
    arguments = common.parse_arguments()
    for selftest, (kind, word) in EXPECTED.items():
        touch_finds(arguments, selftest, kind, word)
    verification_finds(arguments, "byte", f"CORRUPT page={DAMAGED} word=12 ")
    verification_finds(arguments, "code", "CORRUPT image")
    constant_memory(arguments)


main()
