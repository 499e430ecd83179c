"""The human monitor as a person at a terminal has it, in tmux, and in a pipe; two processes, a machine that moves between them."""

import pathlib
import subprocess
import sys

import moving
from support import machines
from support.deadlines import wait_for
from support.processes import Workspace

PROMPT = "(godwit)"
KEYS = {"Enter", "Tab", "BSpace", "DC", "Home", "End", "Up", "C-c", "C-d"}


class Terminal:
    """A terminal of its own with a shell, in a tmux server of its own."""

    def __init__(self, workspace):
        self.command = ["tmux", "-L", f"godwit-{workspace.path('x').parent.name}", "-f", "/dev/null"]
        self._tmux("new-session", "-d", "-x", "120", "-y", "50", "env", "PS1=shell$ ", "sh")
        workspace.on_exit(lambda: subprocess.run([*self.command, "kill-server"], check=False, capture_output=True))
        self.wait_last("shell$")

    def _tmux(self, *arguments):
        return subprocess.run([*self.command, *arguments], check=True, capture_output=True, text=True, timeout=30).stdout

    def keys(self, *names):
        """Presses keys by tmux's names; other text is typed as it stands."""
        for name in names:
            self._tmux("send-keys", *([name] if name in KEYS else ["-l", name]))

    def lines(self):
        return [line.rstrip() for line in self._tmux("capture-pane", "-p", "-J", "-S", "-500").splitlines() if line.strip()]

    def wait_last(self, text):
        """Waits until the last line is this one."""
        wait_for(lambda: self.lines()[-1:] == [text], 30, lambda: f"the last line {text!r}; there is {self.lines()}", poll_s=0.05)

    def wait_line(self, text):
        wait_for(lambda: text in self.lines(), 30, lambda: f"the line {text!r}; there is {self.lines()}", poll_s=0.05)

    def run(self, line, *answers):
        """Types a line at the prompt and waits for its answer's lines and for the next prompt."""
        begin = len(self.lines())
        self.keys(line, "Enter")
        wait_for(lambda: self.lines()[-1] == PROMPT and len(self.lines()) > begin, 30,
                 lambda: f"the prompt after {line!r}; there is {self.lines()}", poll_s=0.05)
        shown = self.lines()[begin - 1:]
        for answer in answers:
            assert any(each.startswith(answer) for each in shown), (answer, shown)


def edit(terminal):
    terminal.keys("migrate_set_par", "Tab")
    terminal.wait_last(f"{PROMPT} migrate_set_parameter")
    terminal.keys("down", "Tab")
    terminal.wait_last(f"{PROMPT} migrate_set_parameter downtime-limit")
    terminal.keys("7x", "BSpace", "7", "Enter")
    terminal.wait_last(PROMPT)
    terminal.run("info migrate_parameters", "downtime-limit: 77 ms")
    # The line before the last one, changed at its beginning and its end.
    terminal.keys("Up", "Up")
    terminal.wait_last(f"{PROMPT} migrate_set_parameter downtime-limit 77")
    terminal.keys("Home", "x", "Home", "DC", "End", "BSpace", "8", "Enter")
    terminal.wait_last(PROMPT)
    terminal.run("info migrate_parameters", "downtime-limit: 78 ms")
    terminal.keys("migrate_set_capability ev", "Tab", "o", "Tab")
    terminal.wait_last(f"{PROMPT} migrate_set_capability events o")
    terminal.wait_line("off")
    terminal.keys("n", "Enter")
    terminal.wait_last(PROMPT)
    terminal.run("info migrate_capabilities", "events: on")
    terminal.run("fly", "Error: unknown command: 'fly'")


def migrate(terminal, workspace, program):
    """The monitor at the terminal waits for the migration; the destination's is a pipe."""
    address = f"unix:{workspace.path('migration')}"
    destination = workspace.start("destination", [program, "run", "--machine", "none", "--memory", "64M", "--monitor", "stdio",
                                                  "--incoming", "defer", *machines.SANDBOX])
    destination.write(f"migrate_incoming {address}\ninfo migrate\n".encode())
    destination.output.wait_line("socket address: [")
    terminal.run(f"migrate {address}")
    terminal.run("info migrate", "Migration status: completed", "total ram: 65536 kbytes")
    terminal.run("info status", "VM status: paused (postmigrate)")
    destination.write(b"info migrate\ninfo status\n")
    destination.output.wait_line(lambda text: text.endswith("Migration status: completed"))
    destination.output.wait_line(lambda text: text.endswith("VM status: running"))
    destination.write(b"quit\n")
    wait_for(lambda: destination.exit_status() == 0, 30, "the destination's end")


def refusals(program):
    for arguments, expected in ((["--serial", "stdio"], "the monitor and the serial port cannot both be on stdio"),
                                (["--monitor", "stdio"], "only one monitor can be on stdio")):
        ended = subprocess.run([program, "run", "--machine", "none", "--monitor", "stdio", *arguments], check=False,
                               capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30)
        assert ended.returncode == 2 and expected in ended.stderr, ended


def main():
    arguments = moving.argument_parser().parse_args()
    program = pathlib.Path(arguments.program).resolve()
    refusals(program)
    with Workspace() as workspace:
        terminal = Terminal(workspace)
        socket = workspace.path("second.monitor")
        terminal.keys(f"{program} run --machine none --memory 64M --monitor stdio --monitor unix:{socket}; echo ended $?", "Enter")
        terminal.wait_last(PROMPT)
        edit(terminal)
        migrate(terminal, workspace, program)
        assert socket.stat().st_mode & 0o077 == 0, "others may use the socket"
        terminal.keys("quit", "Enter")
        terminal.wait_line("ended 0")
        # Ctrl-D ends the monitor, Ctrl-C the program, and the terminal echoes again.
        terminal.keys("clear", "Enter")
        terminal.wait_last("shell$")
        terminal.keys(f"{program} run --machine none --memory 64M --monitor stdio; echo ended $?", "Enter")
        terminal.wait_last(PROMPT)
        terminal.keys("C-d")
        terminal.keys("C-c")
        terminal.wait_line("ended 0")
        terminal.keys("stty -a", "Enter")
        wait_for(lambda: any(" echo " in f" {line} " for line in terminal.lines()), 30, "a terminal that echoes")
    return 0


sys.exit(main())
