"""Codes to which no program can be brought from outside: the unit test that provokes each, and the reason."""

import subprocess
import typing


class UnitTest(typing.NamedTuple):
    binary: str  # the option of provoked.py that names it
    name: str
    reason: str


CASES = {
    "internal": UnitTest("migration_tests", "DiskMigrationTest.AWriteAfterTheStopIsNotLeftBehind",
                         "it says that the program contradicts itself: only a disk of the test's own breaks its contract"),
    "listener-refused": UnitTest("migration_tests", "MigrationTest.AnIncomingStartThatAListenerRefusesSaysSo",
                                 "only a program that embeds the library has listeners that object"),
    "dirty-tracking": UnitTest("unit_tests", "UffdDirtySourceTest.memory_has_one_tracker_at_a_time",
                               "the kernel refuses only what it has allowed before, or somebody else within the same process"),
    "guest-gone": UnitTest("unit_tests", "SwitchoverTest.APowerOffJustBeforeItIsCarriedOut",
                           "the program cancels the migration as soon as its guest has powered itself off; only a moment lies between"),
}


def run(test, binaries):
    """Returns why it was skipped, or None when it has passed."""
    done = subprocess.run([getattr(binaries, test.binary), f"--gtest_filter={test.name}"], capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0 and "Running 1 test from" in done.stdout, f"{test.name}: {done.stdout}\n{done.stderr}"
    assert "[  PASSED  ] 1 test." in done.stdout or "[  SKIPPED ] 1 test" in done.stdout, done.stdout
    return "its unit test was skipped" if "[  SKIPPED ] 1 test" in done.stdout else None
