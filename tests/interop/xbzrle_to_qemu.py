"""A program that embeds the library moves memory which it keeps changing, with deltas, to a QEMU or a godwit without a guest; every byte is
compared afterwards."""

import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import memory_compare, pairs  # noqa: E402
from support.processes import Workspace  # noqa: E402

SIZE_MIB = 64
# As the program has it.
LAST_PRECOPY_PASS = 8


def start_destination(workspace, arguments, incoming):
    memory_file = workspace.memory_path("destination")
    # What was there before must not show through.
    pairs.write_memory(memory_file, SIZE_MIB, seed=2)
    if arguments.destination == "qemu":
        return pairs.start_qemu(workspace, "destination", SIZE_MIB, memory_file=memory_file, incoming=incoming)
    return pairs.start_godwit(workspace, "destination", arguments.program, SIZE_MIB, memory_file=memory_file, incoming=incoming)


def check_figures(figures, arguments, destination):
    assert figures["passes"] > LAST_PRECOPY_PASS, figures
    assert figures["deltas"] > 0 and figures["delta-bytes"] < figures["deltas"] * 4096, figures
    assert figures["overflows"] > 0 and figures["unchanged"] > 0, figures
    # Each page of the first pass, whole or as zeros.
    assert figures["normal"] + figures["zero"] >= SIZE_MIB * 256, figures
    if arguments.destination == "godwit":
        received = destination.qmp.migration()
        cache = received["xbzrle-cache"]
        assert (cache["pages"], cache["bytes"]) == (figures["deltas"], figures["delta-bytes"]), (received, figures)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--source", required=True, help="the program that sends (dirtying_source.cpp)")
    parser.add_argument("--destination", choices=["qemu", "godwit"], required=True)
    parser.add_argument("--transport", choices=["tcp", "unix"], required=True)
    parser.add_argument("--cache-bytes", type=int, default=64 << 20)
    arguments = parser.parse_args()
    with Workspace() as workspace:
        unix = f"unix:{workspace.path('stream')}"
        destination = start_destination(workspace, arguments, unix if arguments.transport == "unix" else "tcp:127.0.0.1:0")
        destination.qmp.run_state()
        uri = unix if arguments.transport == "unix" else pairs.listening_uri(destination)
        sent = workspace.memory_path("sent")
        source = workspace.start("source", [arguments.source, uri, sent, arguments.cache_bytes])
        assert source.wait_exit(60) == 0, "the migration failed"
        source.output.join()
        figures = json.loads(source.output.lines()[0].text)
        print(figures)
        destination.qmp.wait_migration("completed")
        destination.qmp.wait_run_state("running")
        memory_compare.assert_equal(sent, destination.memory_file)
        check_figures(figures, arguments, destination)


main()
