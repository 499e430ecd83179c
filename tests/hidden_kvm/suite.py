#!/usr/bin/env python3
"""Runs the tests of a build as ./check does on a machine without KVM, and says which of them were skipped for want of it.

Fails if a test fails, and if nothing ran.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS.parent / "scripts"))

# pylint: disable=wrong-import-position
from skipped import speaks_of_kvm, was_skipped  # noqa: E402

SKIPPED = 77
WHY = re.compile(r"^.*kvm.*$", re.MULTILINE | re.IGNORECASE)


def run(arguments):
    """Returns the report of the tests that ran with KVM hidden. CTest works in a directory of its own, beside a run in the build directory."""
    folder = pathlib.Path(arguments.work)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "CTestTestfile.cmake").write_text(f'subdirs("{arguments.build}")\n', encoding="utf-8")
    report = folder / "check.xml"
    report.unlink(missing_ok=True)
    command = [TESTS / "support" / "without_kvm", arguments.ctest, "--test-dir", folder, "-j", "2", "--output-junit", report,
               "-LE", arguments.labels_left_out, "-E", arguments.names_left_out]
    if arguments.only:
        command += ["-R", arguments.only]
    environment = {**os.environ, "CTEST_OUTPUT_ON_FAILURE": "1"}
    begin_s = time.monotonic()
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=False)
    if done.returncode == SKIPPED and not report.exists():
        sys.exit(SKIPPED)
    return done.returncode, time.monotonic() - begin_s, ElementTree.parse(report).getroot()


def tell(cases, took_s):
    """Prints what was skipped for want of KVM and why, and the counts. Returns how many ran to their end."""
    skipped = [case for case in cases if was_skipped(case)]
    for_want_of_kvm = [case for case in skipped if speaks_of_kvm(case)]
    print("\nSkipped for want of KVM:")
    for case in sorted(for_want_of_kvm, key=lambda case: case.get("name", "")):
        print(f"  {case.get('name')}: {WHY.search(case.findtext('system-out') or '').group().strip()}")
    failed = sum(case.find("failure") is not None for case in cases)
    passed = len(cases) - len(skipped) - failed
    print(f"\nWithout KVM: {passed} tests passed, {len(for_want_of_kvm)} skipped for want of KVM, "
          f"{len(skipped) - len(for_want_of_kvm)} skipped for other reasons, {failed} failed, in {took_s:.0f} s", flush=True)
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ctest", default="ctest", help="the program (%(default)s)")
    parser.add_argument("--build", required=True, help="the build directory whose tests run")
    parser.add_argument("--work", required=True, help="a directory for what CTest leaves")
    parser.add_argument("--labels-left-out", required=True, help="a regular expression")
    parser.add_argument("--names-left-out", required=True, help="a regular expression")
    parser.add_argument("--only", help="a regular expression for the names of the tests that run")
    status, took_s, report = run(parser.parse_args())
    passed = tell(list(report.iter("testcase")), took_s)
    return 1 if status != 0 or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
