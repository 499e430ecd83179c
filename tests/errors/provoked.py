"""Each error code comes where it should: the code itself, a message and a hint that name what is at fault, and a guest that is unharmed.

The codes are those of `godwit errors`; one without a row here fails the test. Each case brings the program itself to its error, or says
why that is impossible here; unit_cases.py has the codes for which it is impossible everywhere."""

import argparse
import pathlib
import re
import subprocess
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1])]

# pylint: disable=wrong-import-position
from support.processes import Workspace  # noqa: E402

import guest_cases  # noqa: E402
import peer_cases  # noqa: E402
import request_cases  # noqa: E402
import stream_cases  # noqa: E402
import tls_cases  # noqa: E402
import unit_cases  # noqa: E402
from ground import Ground  # noqa: E402

ROW = re.compile(r"^ *(\d+)  ([a-z-]+) +\S")
MODULES = (request_cases, stream_cases, peer_cases, guest_cases, tls_cases)


def known_codes(program):
    listed = subprocess.run([program, "errors"], capture_output=True, text=True, check=True, timeout=30).stdout.splitlines()
    rows = [ROW.match(line) for line in listed]
    assert all(rows) and len(rows) > 30, listed
    return {row[2]: row[1] for row in rows}


def check_explanation(program, code, number):
    """`godwit errors` tells more of it."""
    text = subprocess.run([program, "errors", code], capture_output=True, text=True, check=True, timeout=30).stdout
    assert re.fullmatch(rf"{code} \({number}\)\n  meaning:    \S.*\n  what to do: \S.*\n", text), text


def provoke(code, case, program, certificates):
    """One line on what came out."""
    with Workspace() as workspace:
        told = case(Ground(program, certificates, workspace))
        if isinstance(told, str):
            return f"not here: {told}"
        told.check(code)
        return f"{told.message} ({told.hint})"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--certificates", required=True, help="the program make-certificates")
    parser.add_argument("--unit-tests", required=True)
    parser.add_argument("--migration-tests", required=True)
    parser.add_argument("--code", help="only this one")
    arguments = parser.parse_args()
    cases = {code: case for module in MODULES for code, case in module.CASES.items()}
    codes = known_codes(arguments.program)
    rows = [*cases, *unit_cases.CASES]
    assert sorted(rows) == sorted(codes), f"codes without a row, or rows without a code or twice: {sorted(set(rows) ^ set(codes)) or rows}"
    for code, number in codes.items():
        if arguments.code not in (None, code):
            continue
        begin = time.monotonic()
        check_explanation(arguments.program, code, number)
        if code in cases:
            outcome = provoke(code, cases[code], arguments.program, arguments.certificates)
        else:
            test = unit_cases.CASES[code]
            outcome = unit_cases.run(test, arguments) or f"{test.name}: {test.reason}"
        print(f"{code}: {outcome} [{time.monotonic() - begin:.2f} s]", flush=True)


main()
