#!/usr/bin/env python3
"""Fails if a test was skipped for want of KVM although KVM works here: skipped.py BUILD_DIRECTORY.

Reads the JUnit report that CTest left there as check.xml. A test counts that speaks of KVM when it skips. GODWIT_REQUIRE_KVM=1 says that
KVM works.
"""

import os
import sys
import xml.etree.ElementTree as ElementTree


def was_skipped(case: ElementTree.Element) -> bool:
    return case.find("skipped") is not None


def speaks_of_kvm(case: ElementTree.Element) -> bool:
    return "kvm" in (case.findtext("system-out") or "").lower()


def main() -> int:
    build = sys.argv[1]
    try:
        report = ElementTree.parse(os.path.join(build, "check.xml"))
    except (OSError, ElementTree.ParseError) as error:
        print(f"skipped.py: no report of the tests: {error}", file=sys.stderr)
        return 1
    if os.environ.get("GODWIT_REQUIRE_KVM") != "1":
        return 0
    wrong = sorted(case.get("name", "?") for case in report.iter("testcase") if was_skipped(case) and speaks_of_kvm(case))
    if wrong:
        print("\nKVM works here, yet these tests did without: " + ", ".join(wrong), file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
