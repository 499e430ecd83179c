"""Why a migration failed is told on the side that asked for it, in the other side's words, and kept until the next one."""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import pairs  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.processes import Workspace  # noqa: E402
from support.relay import Relay  # noqa: E402

SIZE_MIB = 32
# More than one page: the head of at least one record is in it.
SPOILT_BYTES = (1 << 20, (1 << 20) + 8192)


def start_pair(workspace, program):
    memory = workspace.memory_path("source")
    pairs.write_memory(memory, SIZE_MIB, seed=3)
    source = pairs.start_godwit(workspace, "source", program, SIZE_MIB, memory_file=memory)
    return source, pairs.start_godwit(workspace, "destination", program, SIZE_MIB, incoming="tcp:127.0.0.1:0")


def start_slowly(source, destination):
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": 1 << 20})
    source.qmp.command("migrate", {"uri": pairs.listening_uri(destination)})
    wait_for(lambda: source.qmp.migration().get("ram", {}).get("transferred", 0) > 100_000, 30, "some memory")


def check_kept(figures, status):
    """The figures of the attempt that is over."""
    assert figures["status"] == status, figures
    assert figures["ram"]["transferred"] > 0 and figures["ram"]["total"] == SIZE_MIB << 20, figures
    assert figures["total-time"] > 0, figures


def migrates_again(workspace, program, source):
    second = pairs.start_godwit(workspace, "second", program, SIZE_MIB, incoming="tcp:127.0.0.1:0")
    source.qmp.command("migrate", {"uri": pairs.listening_uri(second)})
    figures = source.qmp.wait_migration("completed")
    assert "error-desc" not in figures, figures
    check_kept(second.qmp.wait_migration("completed"), "completed")


def destination_finds_the_stream_corrupt(workspace, program):
    source, destination = start_pair(workspace, program)
    with Relay("127.0.0.1", pairs.listening_port(destination), spoil=SPOILT_BYTES) as relay:
        migrate = workspace.start("migrate", [program, "migrate", source.qmp_path, f"tcp:127.0.0.1:{relay.port}"])
        assert migrate.wait_exit() == 1, migrate.stderr()
    assert destination.process.wait_exit() == 1
    figures = source.qmp.migration()
    check_kept(figures, "failed")
    assert figures["x-godwit-error-code"] == "stream-corrupt", figures
    prefix = "the destination says: "
    assert figures["error-desc"].startswith(prefix), figures
    # Its own words: what it has written itself before it ended.
    words = figures["error-desc"].removeprefix(prefix)
    assert 'section at byte' in words and words in destination.process.stderr(), (words, destination.process.stderr())
    assert words in migrate.stderr() and "[stream-corrupt]" in migrate.stderr(), migrate.stderr()
    assert source.qmp.run_state() == "running", source.qmp.run_state()
    assert source.qmp.migration() == figures, "what is kept changes"
    migrates_again(workspace, program, source)
    return figures["error-desc"]


def destination_is_given_up(workspace, program):
    source, destination = start_pair(workspace, program)
    start_slowly(source, destination)
    destination.qmp.command("quit")
    figures = source.qmp.wait_migration("failed")
    check_kept(figures, "failed")
    assert "Broken pipe" not in figures["error-desc"] and figures["x-godwit-error-code"], figures
    assert source.qmp.run_state() == "running", source.qmp.run_state()
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": 0})
    migrates_again(workspace, program, source)
    return f"{figures['error-desc']} [{figures['x-godwit-error-code']}]"


def cancelled_is_kept(workspace, program):
    source, destination = start_pair(workspace, program)
    start_slowly(source, destination)
    source.qmp.command("migrate_cancel")
    figures = source.qmp.wait_migration("cancelled")
    check_kept(figures, "cancelled")
    assert source.qmp.migration() == figures, "what is kept changes"
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": 0})
    migrates_again(workspace, program, source)
    return f"{figures['ram']['transferred']} bytes were sent"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    arguments = parser.parse_args()
    for case in (destination_finds_the_stream_corrupt, destination_is_given_up, cancelled_is_kept):
        with Workspace() as workspace:
            print(f"{case.__name__}: {case(workspace, arguments.program)}", flush=True)


main()
