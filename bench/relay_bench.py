#!/usr/bin/env python3
"""Moves memory without zero pages from one godwit to another directly and through `godwit relay`, in turns; prints medians and their ratio.

The time of a move runs from the `migrate` command until both sides have said that they have completed it. See bench/README.md.
"""

import argparse
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from support import pairs  # noqa: E402
from support.processes import Workspace  # noqa: E402
from support.relaying import RelayProgram  # noqa: E402


def fill(path, size_mib, byte):
    with open(path, "wb") as file:
        page = bytes([byte]) * 4095
        for _ in range(size_mib):
            file.write(b"".join(bytes([number]) + page for number in range(256)))


def move(workspace, options, number, through_relay):
    """Seconds."""
    name = f"{'relayed' if through_relay else 'direct'}{number}"
    source = pairs.start_godwit(workspace, f"{name}-source", options.program, options.size, memory_file=workspace.memory_path("source"))
    destination = pairs.start_godwit(workspace, f"{name}-destination", options.program, options.size,
                                     memory_file=workspace.memory_path("destination"), incoming="tcp:127.0.0.1:0")
    uri = pairs.listening_uri(destination)
    relay = RelayProgram(workspace, options.program, uri, name=f"{name}-relay") if through_relay else None
    begin = time.monotonic()
    source.qmp.command("migrate", {"uri": relay.uri if relay else uri})
    for machine in (source, destination):
        machine.qmp.wait_migration("completed")
    seconds = time.monotonic() - begin
    if relay:
        status, summary = relay.wait_end()
        assert status == 0 and summary["stream"]["complete"], relay.process.stderr()
    for machine in (source, destination):
        machine.close()
        machine.process.kill()
    return seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default=ROOT / "build/release/bin/godwit")
    parser.add_argument("--size", type=int, default=512, help="MiB")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    seconds = {False: [], True: []}
    with Workspace() as workspace:
        fill(workspace.memory_path("source"), options.size, 1)
        fill(workspace.memory_path("destination"), options.size, 2)
        for number in range(options.rounds):
            for through_relay in (False, True):
                seconds[through_relay].append(move(workspace, options, number, through_relay))
    direct, relayed = statistics.median(seconds[False]), statistics.median(seconds[True])
    print(f"direct  {options.size / direct:7.0f} MiB/s\nrelayed {options.size / relayed:7.0f} MiB/s, {direct / relayed:.2f} of it")


if __name__ == "__main__":
    main()
