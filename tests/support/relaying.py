"""`godwit relay` as a process under test."""

import json


class RelayProgram:
    """Passes one migration on to `to`. `uri` is where the source has to go. With `--json` always."""

    def __init__(self, workspace, program, to, listen="tcp:127.0.0.1:0", name="relay", extra=()):
        command = [program, "relay", "--listen", listen, "--to", to, "--json", *extra]
        self.process = workspace.start(name, command)
        self.process.wait_stderr("waiting at ")
        self.uri = self.process.stderr().partition("waiting at ")[2].split()[0]

    def wait_end(self, timeout_s=60):
        """The exit status, and the summary if there is one."""
        status = self.process.wait_exit(timeout_s)
        self.process.output.join()
        lines = [line.text for line in self.process.output.lines()]
        return status, json.loads(lines[-1]) if lines else None

    def errors(self):
        """What it complained of, line by line."""
        return [line for line in self.process.stderr().splitlines() if line.startswith("godwit: ")]
