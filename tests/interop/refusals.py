"""What godwit says when QEMU refuses what it sends, and the other way round; nothing is harmed."""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import pairs  # noqa: E402
from support.processes import Workspace  # noqa: E402


def sizes_differ_to_qemu(workspace, program):
    source = pairs.start_godwit(workspace, "source", program, 16)
    destination = pairs.start_qemu(workspace, "destination", 32, incoming="tcp:127.0.0.1:0")
    source.qmp.command("migrate", {"uri": pairs.listening_uri(destination)})
    failed = source.qmp.wait_migration("failed")
    assert failed["error-desc"], failed
    assert "Broken pipe" not in failed["error-desc"], failed
    assert source.qmp.run_state() == "running", source.qmp.run_state()
    assert destination.process.wait_exit() == 1
    # The machine can be migrated again.
    second = pairs.start_qemu(workspace, "second", 16, incoming="tcp:127.0.0.1:0")
    source.qmp.command("migrate", {"uri": pairs.listening_uri(second)})
    source.qmp.wait_migration("completed")
    return failed["error-desc"]


def sizes_differ_from_qemu(workspace, program):
    source = pairs.start_qemu(workspace, "source", 16)
    destination = pairs.start_godwit(workspace, "destination", program, 32, incoming="tcp:127.0.0.1:0")
    pairs.set_capability(source, "return-path", True)
    source.qmp.command("migrate", {"uri": pairs.listening_uri(destination)})
    source.qmp.wait_migration("failed")
    assert source.qmp.run_state() == "running", source.qmp.run_state()
    assert destination.process.wait_exit() == 1
    words = destination.process.stderr()
    for expected in ('"ram"', "16777216", "33554432"):
        assert expected in words, words
    return words.strip()


def machines_differ_from_qemu(workspace, program):
    source = pairs.start_qemu(workspace, "source", 16)
    destination = pairs.machines.start_godwit(workspace, "destination", program, memory="16M", incoming="tcp:127.0.0.1:0")
    pairs.set_capability(source, "return-path", True)
    source.qmp.command("migrate", {"uri": pairs.listening_uri(destination)})
    source.qmp.wait_migration("failed")
    assert destination.process.wait_exit() == 1
    words = destination.process.stderr()
    assert "none" in words and "microvm" in words, words
    return words.strip()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    arguments = parser.parse_args()
    for case in (sizes_differ_to_qemu, sizes_differ_from_qemu, machines_differ_from_qemu):
        with Workspace() as workspace:
            print(f"{case.__name__}: {case(workspace, arguments.program)}")


main()
