"""The bytes that query-migrate counts are the bytes that left: against a relay's copy, and against a file's size.
The copy is a whole stream: `godwit inspect` reads it."""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import pairs  # noqa: E402
from support.processes import Workspace  # noqa: E402
from support.relay import Relay  # noqa: E402

SIZE_MIB = 64


def pages_of(text):
    return text.split(":")[1].replace(" whole pages", "").replace(" zero pages", "").split(",")


def check_inspect(program, path, ram):
    found = pairs.run_checked([program, "inspect", path], capture_output=True, text=True).stdout
    summary = [line for line in found.splitlines() if line.startswith('RAM block "ram"')]
    assert len(summary) == 1, found
    normal, zero = (int(part) for part in pages_of(summary[0]))
    assert (normal, zero) == (ram["normal"], ram["duplicate"]), (summary, ram)
    assert "EOF" in found and "DESCRIPTION" in found, found


def through_relay(workspace, program, memory_file):
    source = pairs.start_godwit(workspace, "source", program, SIZE_MIB, memory_file=memory_file)
    destination = pairs.start_godwit(workspace, "destination", program, SIZE_MIB, incoming="tcp:127.0.0.1:0")
    tee = workspace.memory_path("tee")
    with Relay("127.0.0.1", pairs.listening_port(destination), tee=tee) as relay:
        source.qmp.command("migrate", {"uri": f"tcp:127.0.0.1:{relay.port}"})
        ram = source.qmp.wait_migration("completed")["ram"]
        relay.wait_ended()
    assert ram["transferred"] == tee.stat().st_size == relay.forward.bytes, (ram, tee.stat().st_size)
    assert ram["precopy-bytes"] + ram["downtime-bytes"] == ram["transferred"], ram
    assert destination.qmp.migration()["ram"]["transferred"] == ram["transferred"]
    return ram


def to_file(workspace, program, memory_file):
    source = pairs.start_godwit(workspace, "source", program, SIZE_MIB, memory_file=memory_file)
    path = workspace.memory_path("saved")
    source.qmp.command("migrate", {"uri": f"file:{path}"})
    ram = source.qmp.wait_migration("completed")["ram"]
    assert ram["transferred"] == path.stat().st_size, (ram, path.stat().st_size)
    assert list(path.parent.glob(path.name + "?*")) == [], "a temporary file was left behind"
    check_inspect(program, path, ram)
    # The machine may go on after a save.
    source.qmp.command("cont")
    source.qmp.wait_run_state("running")
    source.qmp.command("migrate", {"uri": f"file:{path}"})
    source.qmp.wait_migration("completed")
    return ram


def failing_command(workspace, program, memory_file):
    source = pairs.start_godwit(workspace, "source", program, SIZE_MIB, memory_file=memory_file)
    source.qmp.command("migrate", {"uri": "exec:cat > /dev/null; exit 3"})
    failed = source.qmp.wait_migration("failed")
    assert failed["x-godwit-error-code"] == "child-failed" and "3" in failed["error-desc"], failed
    assert source.qmp.run_state() == "running", source.qmp.run_state()
    return failed["ram"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    arguments = parser.parse_args()
    for case in (through_relay, to_file, failing_command):
        with Workspace() as workspace:
            memory_file = workspace.memory_path("memory")
            pairs.write_memory(memory_file, SIZE_MIB)
            ram = case(workspace, arguments.program, memory_file)
            print(f"{case.__name__}: {ram['transferred']} bytes, {ram['normal']} whole and {ram['duplicate']} zero pages", flush=True)


main()
