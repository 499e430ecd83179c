"""`godwit top` and the live view of `godwit migrate`: in a real terminal, as lines, with machines that hang, and with QEMU."""

import argparse
import json
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import pairs  # noqa: E402
from support.processes import Workspace  # noqa: E402
from support.tmux import PROMPT, Terminal  # noqa: E402

SIZE_MIB = 64
BANDWIDTH = 12 << 20
CONNECTION = 4


def start_pair(workspace, program):
    memory = workspace.memory_path("source")
    pairs.write_memory(memory, SIZE_MIB)
    source = pairs.start_godwit(workspace, "source", program, SIZE_MIB, memory_file=memory, extra=("--name", "vm1"))
    destination = pairs.start_godwit(workspace, "destination", program, SIZE_MIB, incoming="tcp:127.0.0.1:0",
                                     extra=("--name", "vm2"))
    return source, destination, pairs.listening_uri(destination)


def start_migration(source, uri, bandwidth=BANDWIDTH):
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": bandwidth})
    source.qmp.command("migrate", {"uri": uri})


def terminal_settings(terminal):
    """The line that describes the terminal's modes, after a fresh prompt."""
    terminal.run("clear; stty -g")
    text = terminal.wait(lambda shown: ":" in shown and shown.rstrip().endswith(PROMPT))
    return next(line for line in text.splitlines() if line.count(":") > 10)


def check_restored(terminal, settings):
    terminal.wait(lambda text: PROMPT in text and "godwit top:" not in text)
    assert terminal.property("alternate_on") == "0", "the window before is not there again"
    assert terminal.property("cursor_flag") == "1", "the cursor is hidden"
    assert terminal_settings(terminal) == settings, "the terminal's modes differ"


def top_in_a_terminal(workspace, program):
    source, destination, uri = start_pair(workspace, program)
    terminal = Terminal(workspace)
    settings = terminal_settings(terminal)
    missing = workspace.path("missing.qmp")
    terminal.run(f"{program} top --interval 100 {source.qmp_path} {destination.qmp_path} {missing}")
    text = terminal.wait(lambda shown: "vm1  no migration" in shown and "vm2  setup" in shown)
    assert "3 machines" in text and "No such file" in text, text
    assert terminal.property("alternate_on") == "1"
    start_migration(source, uri, bandwidth=1 << 20)
    text = terminal.wait(lambda shown: "vm1  active" in shown and "Mbit/s" in shown and "vm2  active" in shown)
    for part in ("█", "remaining", "dirtied", "pass 1", "guest running", "guest inmigrate", "received"):
        assert part in text, f"no {part!r} in\n{text}"
    # A narrow window: no line is broken by the terminal, so each machine's title stands at the begin of a line, once.
    terminal.resize(50, 40)
    terminal.wait(lambda shown: shown.startswith("godwit top:") and "\nvm1  active" in shown and
                  shown.count("remaining") == 2)
    terminal.resize(100, 6)
    terminal.wait(lambda shown: len(shown.strip().splitlines()) == 4 and "vm1 " in shown)
    terminal.resize(100, 40)
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": 0})
    text = terminal.wait(lambda shown: "vm1  completed" in shown and "vm2  completed" in shown and "guest postmigrate" in shown, 60)
    assert "downtime" in text, text
    terminal.press("q")
    check_restored(terminal, settings)
    terminal.run(f"{program} top {source.qmp_path}")
    terminal.wait("godwit top: 1 machine;")
    terminal.press("C-c")
    check_restored(terminal, settings)


def migrate_in_a_terminal(workspace, program):
    source, _, uri = start_pair(workspace, program)
    source.close()
    terminal = Terminal(workspace)
    settings = terminal_settings(terminal)
    terminal.run(f"{program} migrate {source.qmp_path} {uri} --bandwidth 12M")
    text = terminal.wait(lambda shown: "active" in shown and "Mbit/s" in shown and "█" in shown)
    assert "remaining" in text and "dirtied" in text, text
    text = terminal.wait("migration completed: total time", 60)
    assert text.count("Mbit/s") == 1, f"the view was not painted over:\n{text}"
    assert terminal_settings(terminal) == settings


def cancel_in_a_terminal(workspace, program):
    source, _, uri = start_pair(workspace, program)
    terminal = Terminal(workspace)
    terminal.run(f"{program} migrate {source.qmp_path} {uri} --bandwidth 100K")
    terminal.wait("Mbit/s")
    terminal.press("C-c")
    text = terminal.wait("the guest goes on at the source")
    # What is said stands below the view.
    assert text.index("Mbit/s") < text.index("SIGINT: cancelling"), text


def top_in_lines(workspace, program):
    source, destination, uri = start_pair(workspace, program)
    top = workspace.start("top", [program, "top", "--interval", "50", source.qmp_path, destination.qmp_path])
    top.output.wait_line("vm1: running, no migration")
    start_migration(source, uri)
    top.output.wait_line("vm1: running, active  pass 1")
    # One that hangs does not keep the others from being shown.
    destination.process.signal(signal.SIGSTOP)
    begin = top.output.count()
    top.output.wait_line("vm2: no answer for", begin=begin)
    top.output.wait_line("vm1: running, active", begin=begin)
    destination.process.signal(signal.SIGCONT)
    top.output.wait_line("vm1: postmigrate, completed: total time", 60)
    top.output.wait_line("vm2: running, completed")
    source.process.kill()
    top.output.wait_line("vm1: it has closed the connection")
    top.signal(signal.SIGTERM)
    assert top.wait_exit(5) == 0


def once(program, *sockets):
    ended = subprocess.run([program, "top", "--once", "--json", *sockets], stdout=subprocess.PIPE, timeout=30, check=False)
    return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()]


def top_once(workspace, program):
    source, destination, uri = start_pair(workspace, program)
    status, machines = once(program, source.qmp_path, destination.qmp_path)
    assert status == 0 and [machine["name"] for machine in machines] == ["vm1", "vm2"], machines
    start_migration(source, uri)
    source.qmp.wait_migration("completed")
    destination.process.signal(signal.SIGSTOP)
    status, machines = once(program, source.qmp_path, destination.qmp_path, workspace.path("missing"))
    destination.process.signal(signal.SIGCONT)
    assert status == CONNECTION, status
    assert machines[0]["migration"]["status"] == "completed", machines
    assert not machines[1]["reachable"] and machines[1]["trouble"].startswith("no answer"), machines
    assert not machines[2]["reachable"], machines


def top_with_qemu(workspace, program):
    memory = workspace.memory_path("source")
    pairs.write_memory(memory, SIZE_MIB)
    source = pairs.start_qemu(workspace, "source", SIZE_MIB, memory_file=memory)
    destination = pairs.start_qemu(workspace, "destination", SIZE_MIB, incoming="tcp:127.0.0.1:0")
    uri = pairs.listening_uri(destination)
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": BANDWIDTH})
    source.qmp.command("migrate", {"uri": uri})
    # QEMU talks with one client at a time.
    source.close()
    top = workspace.start("top", [program, "top", "--interval", "50", source.qmp_path])
    top.output.wait_line(lambda line: "running, active  pass 1" in line)
    top.output.wait_line(lambda line: "postmigrate, completed: total time" in line, 60)
    top.signal(signal.SIGINT)
    assert top.wait_exit(5) == 0
    status, machines = once(program, source.qmp_path)
    assert status == 0 and machines[0]["server"].startswith("QEMU 7.2"), machines


CASES = {case.__name__: case for case in
         (top_in_a_terminal, migrate_in_a_terminal, cancel_in_a_terminal, top_in_lines, top_once, top_with_qemu)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--case", choices=CASES, action="append")
    arguments, _ = parser.parse_known_args()
    for name in arguments.case or CASES:
        with Workspace() as workspace:
            CASES[name](workspace, arguments.program)
        print(f"{name}: fine", flush=True)


if __name__ == "__main__":
    main()
