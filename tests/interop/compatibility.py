"""Keeps the table at the end of docs/qemu-compatibility.md: what the tests interop.running.* have moved, by version and direction.

compatibility.py RECORDS DOCUMENT NAME... compares what these tests have recorded; with GODWIT_WRITE_DOCUMENTS=1 it writes the table."""

import json
import os
import pathlib
import sys

HEADING = "## What was run\n"
COLUMNS = ("from", "to", "virtual CPUs", "transport", "return path", "deltas (xbzrle)", "disks")
SKIPPED = 77


def table(records):
    rows = sorted({tuple(row[column] for column in COLUMNS) for record in records for row in record})
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def main():
    folder, document = map(pathlib.Path, sys.argv[1:3])
    paths = [folder / f"{name}.json" for name in sys.argv[3:]]
    records = [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]
    if not records:
        print("no guest was moved here: KVM does not work, or the tests interop.running.* were not run")
        sys.exit(SKIPPED)
    text = document.read_text(encoding="utf-8")
    begin = text.index(HEADING) + len(HEADING)
    begin = text.index("\n|", begin) + 1
    if os.environ.get("GODWIT_WRITE_DOCUMENTS") == "1":
        document.write_text(text[:begin] + table(records), encoding="utf-8")
    missing = [line for line in table(records).splitlines() if line not in text[begin:]]
    if text[begin:] != table(records) and os.environ.get("GODWIT_WRITE_DOCUMENTS") != "1":
        print(f"{document} does not say what was run; GODWIT_WRITE_DOCUMENTS=1 writes it. Missing:", *missing, sep="\n")
        sys.exit(1)
    print(f"{document.name} says what was run: {len(table(records).splitlines()) - 2} rows")


main()
