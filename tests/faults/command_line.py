"""The program in odd circumstances: without standard descriptors, with a machine that hangs, with no machine at all."""

import argparse
import os
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import pairs  # noqa: E402
from support.processes import Workspace  # noqa: E402
from support.qmp import QmpClient, QmpError  # noqa: E402

SIZE_MIB = 16
WRONG_USAGE = 2
CANCELLED = 3
CONNECTION_LOST = 4


def without_standard_descriptors(workspace, program):
    """The signals' descriptor must not become the standard input."""
    path = workspace.path("closed.qmp")
    process = workspace.start("closed", ["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', program, "run", "--machine", "none", "--memory",
                                         f"{SIZE_MIB}M", "--qmp", f"unix:{path}"])
    client = QmpClient(path, is_alive=process.is_alive)
    assert client.run_state() == "running"
    targets = [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in range(3)]
    assert targets == ["/dev/null"] * 3, targets
    process.signal(signal.SIGTERM)
    assert process.wait_exit(10) == 0
    client.close()


def interrupt_while_the_machine_hangs(workspace, program):
    """A source that is stopped in the middle of a migration, and the command that follows it and has got SIGINT."""
    memory_file = workspace.memory_path("memory")
    with open(memory_file, "wb") as file:
        file.write(b"\x5a" * (SIZE_MIB << 20))
    source = pairs.start_godwit(workspace, "source", program, SIZE_MIB, memory_file=memory_file)
    destination = pairs.start_godwit(workspace, "destination", program, SIZE_MIB, incoming="tcp:127.0.0.1:0")
    # So slow that it does not end by itself.
    migrate = workspace.start("migrate", [program, "migrate", source.qmp_path, pairs.listening_uri(destination), "--bandwidth", "64K"])
    source.qmp.wait_migration("active")
    source.process.signal(signal.SIGSTOP)
    migrate.signal(signal.SIGINT)
    migrate.wait_stderr("SIGINT: cancelling the migration", timeout_s=5)
    return source, migrate


def second_interruption_leaves_a_machine_that_hangs(workspace, program):
    source, migrate = interrupt_while_the_machine_hangs(workspace, program)
    migrate.signal(signal.SIGINT)
    assert migrate.wait_exit(5) == -signal.SIGINT
    source.process.signal(signal.SIGCONT)


def interruption_cancels_once_the_machine_answers_again(workspace, program):
    source, migrate = interrupt_while_the_machine_hangs(workspace, program)
    source.process.signal(signal.SIGCONT)
    assert migrate.wait_exit(10) == CANCELLED
    assert source.qmp.migration()["status"] == "cancelled"
    assert source.qmp.run_state() == "running"


def nothing_is_claimed_about_a_machine_that_is_not_there(workspace, program):
    own = workspace.start("own", [program, "own", workspace.path("nobody.qmp")])
    assert own.wait_exit(10) == CONNECTION_LOST
    own.output.join()
    assert own.output.lines() == [], own.output.lines()


def a_guest_that_has_moved_away_is_not_moved_again(workspace, program):
    source = pairs.start_godwit(workspace, "source", program, SIZE_MIB)
    destination = pairs.start_godwit(workspace, "destination", program, SIZE_MIB, incoming="tcp:127.0.0.1:0")
    source.qmp.command("migrate", {"uri": pairs.listening_uri(destination)})
    source.qmp.wait_migration("completed")
    try:
        source.qmp.command("migrate", {"uri": "exec:cat > /dev/null"})
    except QmpError as error:
        assert "handed over" in error.description, error
    else:
        raise AssertionError("a guest that runs elsewhere was moved from here")
    assert source.qmp.migration()["status"] == "completed"
    # Taken by force it is this side's again, and so may move.
    own = workspace.start("own", [program, "own", source.qmp_path])
    assert own.wait_exit(10) == 0
    assert own.output.wait_line("The guest has been taken", 5)
    source.qmp.command("migrate", {"uri": "exec:cat > /dev/null"})
    source.qmp.wait_migration("completed")


def a_name_is_in_log_lines_and_in_query_name(workspace, program):
    machine = pairs.start_godwit(workspace, "named", program, SIZE_MIB, extra=("--name", "north"))
    assert machine.qmp.command("query-name") == {"name": "north"}
    machine.process.signal(signal.SIGTERM)
    machine.process.wait_exit(10)
    assert "north: SIGTERM" in machine.process.stderr(), machine.process.stderr()


def exit_status(program, *arguments, output=subprocess.DEVNULL):
    return subprocess.run([program, *arguments], stdout=output, stderr=subprocess.DEVNULL, timeout=20, check=False).returncode


def output_that_is_lost_is_trouble(workspace, program):
    machine = pairs.start_godwit(workspace, "machine", program, SIZE_MIB)
    saved = workspace.image_path("saved")
    machine.qmp.command("migrate", {"uri": f"file:{saved}"})
    machine.qmp.wait_migration("completed")
    relay = ("relay", "--listen", f"file:{saved}", "--to", f"file:{workspace.image_path('copy')}")
    with open("/dev/full", "wb") as full:
        for trouble, command in ((1, ("inspect", saved)), (1, ("inspect", saved, "--json")), (2, ("verify", saved)),
                                 (2, ("diff", saved, saved, "--json")), (1, relay), (1, (*relay, "--json"))):
            assert exit_status(program, *command) == 0, command
            assert exit_status(program, *command, output=full) == trouble, command


def one_migration_is_not_kept_for(workspace, program):
    for listen in ("fd:0", "exec:true", "file:/dev/null"):
        assert exit_status(program, "relay", "--keep", "--listen", listen, "--to", f"unix:{workspace.path('to')}") == WRONG_USAGE


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    arguments = parser.parse_args()
    for case in (without_standard_descriptors, second_interruption_leaves_a_machine_that_hangs,
                 interruption_cancels_once_the_machine_answers_again, nothing_is_claimed_about_a_machine_that_is_not_there,
                 a_guest_that_has_moved_away_is_not_moved_again, a_name_is_in_log_lines_and_in_query_name,
                 output_that_is_lost_is_trouble, one_migration_is_not_kept_for):
        with Workspace() as workspace:
            case(workspace, arguments.program)
        print(f"{case.__name__}: ok", flush=True)


main()
