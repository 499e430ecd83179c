"""The same requests to a QEMU and to a godwit: the answers have the same class, words, members and defaults, but for what is listed."""

import argparse
import json
import pathlib
import socket
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from interop import qmp_differences, qmp_requests  # noqa: E402
from interop.qmp_requests import ask  # noqa: E402
from support import machines, pairs  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.processes import Workspace  # noqa: E402

TIMEOUT_S = 30
SIZE_MIB = 64
SLOW_BYTES_PER_S = 1 << 20


class SilentQemu(Exception):
    """QEMU does not answer any more."""


class Speaker:
    """One side of the dialogue: requests as they are, answers as they come, events apart."""

    def __init__(self, machine):
        self.machine = machine
        self.socket = wait_for(self._connect, TIMEOUT_S, f"QMP of {machine.name}")
        self.lines = self.socket.makefile("rb")
        self.greeting = json.loads(self.lines.readline())

    def _connect(self):
        assert self.machine.process.is_alive(), self.machine.process.stderr()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(TIMEOUT_S)
        try:
            connection.connect(str(self.machine.qmp_path))
            return connection
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            return None

    def ask(self, request):
        text = request if isinstance(request, str) else json.dumps(request)
        self.socket.sendall(text.encode() + b"\n")
        while True:
            answer = json.loads(self._line())
            if "event" not in answer:
                return answer

    def _line(self):
        try:
            return self.lines.readline()
        except TimeoutError as error:
            # QEMU 7.2 is known for it; godwit must never be.
            raise (SilentQemu(self.machine.name) if self.machine.name == "qemu" else error)

    def command(self, name, arguments=None):
        answer = self.ask({"execute": name, "arguments": arguments or {}})
        assert "return" in answer, (name, answer)
        return answer["return"]

    def wait_status(self, status):
        last = [None]

        def reached():
            last[0] = self.command("query-migrate").get("status")
            return last[0] == status

        wait_for(reached, TIMEOUT_S, lambda: f"{self.machine.name}: {status}, it is {last[0]}")


class Comparison:
    """Collects the differences: (state, name of the step, place in the answer) and what is different."""

    def __init__(self):
        self.steps = 0
        self.unexplained = []
        self.used = set()

    def differ(self, state, step, place, detail):
        for rule in qmp_differences.ALLOWED:
            if rule.matches(state, step.name, place):
                self.used.add(rule)
                return
        self.unexplained.append(f"{state} | {step.name} | {place}: {detail}")

    def compare(self, state, step, qemu, godwit):
        self.steps += 1
        if qemu.get("id") != godwit.get("id"):
            self.differ(state, step, "id", f"{qemu} / {godwit}")
        if "error" in qemu and "error" in godwit:
            theirs, mine = qemu["error"], dict(godwit["error"])
            if "x-godwit-hint" in mine:  # it ends the description too
                mine["desc"] = mine["desc"].removesuffix(f" ({mine['x-godwit-hint']})")
            for member in ("class", "desc"):
                if theirs[member] != mine[member]:
                    self.differ(state, step, member, f"{theirs[member]!r} / {mine[member]!r}")
        elif "error" in qemu or "error" in godwit:
            self.differ(state, step, "outcome", f"{json.dumps(qemu)[:300]} / {json.dumps(godwit)[:300]}")
        else:
            self.compare_value(state, step, "return", qemu["return"], godwit["return"])

    def compare_value(self, state, step, place, qemu, godwit):
        if kind(qemu) != kind(godwit):
            self.differ(state, step, place, f"{qemu!r} / {godwit!r}")
        elif isinstance(qemu, dict):
            for member, value in qemu.items():
                if member in godwit:
                    self.compare_value(state, step, f"{place}.{member}", value, godwit[member])
                else:
                    self.differ(state, step, f"{place}.{member} (absent)", repr(value))
        elif isinstance(qemu, list):
            self.compare_list(state, step, place, qemu, godwit)
        elif step.values and qemu != godwit:
            self.differ(state, step, place, f"{qemu!r} / {godwit!r}")

    def compare_list(self, state, step, place, qemu, godwit):
        """Capabilities by name, everything else by its order."""
        names = [entry["capability"] for entry in qemu if isinstance(entry, dict) and "capability" in entry]
        if names:
            mine = {entry["capability"]: entry for entry in godwit}
            for entry in qemu:
                name = entry["capability"]
                if name in mine:
                    self.compare_value(state, step, f"{place}.{name}", entry, mine[name])
                else:
                    self.differ(state, step, f"{place}.{name} (absent)", "")
            return
        # QEMU can break the monitor's own socket off.
        qemu = [entry for entry in qemu if not (isinstance(entry, dict) and entry.get("type") == "chardev")]
        if len(qemu) != len(godwit):
            self.differ(state, step, place, f"{qemu!r} / {godwit!r}")
        for index, (one, other) in enumerate(zip(qemu, godwit)):
            self.compare_value(state, step, f"{place}[{index}]", one, other)


def kind(value):
    """JSON has one type of numbers."""
    if isinstance(value, bool) or value is None:
        return type(value)
    return float if isinstance(value, (int, float)) else type(value)


class Sink:
    """Takes what is sent to it and says nothing."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.uri = f"tcp:127.0.0.1:{self.server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._drain, args=(client,), daemon=True).start()

    @staticmethod
    def _drain(client):
        with client:
            try:
                while client.recv(1 << 16):
                    pass
            except OSError:
                pass

    def close(self):
        self.server.close()


class Dialogue:
    def __init__(self, qemu, godwit, sink):
        self.qemu = qemu
        self.godwit = godwit
        self.sink = sink
        self.comparison = Comparison()

    def both(self):
        return (self.qemu, self.godwit)

    def talk(self, state, steps):
        for step in steps:
            self.comparison.compare(state, step, self.qemu.ask(step.request), self.godwit.ask(step.request))

    def nothing_has_run(self):
        self.comparison.compare_value("nothing has run", ask("greeting", values=True), "capabilities",
                                      self.qemu.greeting["QMP"]["capabilities"], self.godwit.greeting["QMP"]["capabilities"])
        self.talk("nothing has run", [*qmp_requests.NEGOTIATION, *qmp_requests.FRAMES, *qmp_requests.BASIC, ask("query-migrate", values=True),
                                      *qmp_requests.SETTINGS, *qmp_requests.CONTROL, *qmp_requests.MIGRATE])

    def measure(self):
        for side in self.both():
            side.command("calc-dirty-rate", {"calc-time": 5})
            # QEMU's thread may be slow to begin, and a second request would be taken until then.
            wait_for(lambda s=side: s.command("query-dirty-rate")["status"] == "measuring", TIMEOUT_S, "the measurement")
        self.talk("measuring", qmp_requests.MEASURING)
        for side in self.both():
            wait_for(lambda s=side: s.command("query-dirty-rate")["status"] == "measured", TIMEOUT_S, "the dirty rate")
        self.talk("measured", [ask("query-dirty-rate")])

    def start(self, uri, bandwidth):
        for side in self.both():
            side.command("migrate-set-capabilities", {"capabilities": [{"capability": "return-path", "state": False}]})
            side.command("migrate-set-parameters", {"max-bandwidth": bandwidth})
            side.command("migrate", {"uri": uri})

    def wait_status(self, status):
        for side in self.both():
            side.wait_status(status)

    def run(self):
        self.nothing_has_run()
        self.measure()
        self.start("tcp:127.0.0.1:1", 0)
        self.wait_status("failed")
        self.talk("failed", qmp_requests.ENDED)
        self.start(self.sink.uri, SLOW_BYTES_PER_S)
        self.wait_status("active")
        self.talk("active", qmp_requests.ACTIVE)
        for side in self.both():
            side.command("migrate_cancel")
        self.wait_status("cancelled")
        self.talk("cancelled", qmp_requests.ENDED)
        self.start("exec:cat >/dev/null", 0)
        self.wait_status("completed")
        self.talk("completed", qmp_requests.ENDED)


def schema_of(speaker):
    return {entry["name"]: entry for entry in speaker.command("query-qmp-schema")}


def compare_schemas(comparison, qemu, godwit):
    """Of each command that both have: the arguments that godwit has are QEMU's, as optional as there."""
    for name, command in godwit.items():
        if command["meta-type"] != "command":
            continue
        step = ask(name)
        if name not in qemu:
            comparison.differ("schema", step, "command", "QEMU has none of that name")
            continue
        if command["allow-oob"] != qemu[name].get("allow-oob", False):
            comparison.differ("schema", step, "allow-oob", f"{qemu[name].get('allow-oob', False)} / {command['allow-oob']}")
        theirs, mine = ({member["name"]: "default" in member for member in schema[schema[name]["arg-type"]]["members"]}
                        for schema in (qemu, godwit))
        for member in theirs.keys() | mine.keys():
            if theirs.get(member) != mine.get(member):
                words = {None: "absent", True: "optional", False: "mandatory"}
                suffix = " (absent)" if member not in mine else " (additional)" if member not in theirs else ""
                comparison.differ("schema", step, member + suffix, f"{words[theirs.get(member)]} / {words[mine.get(member)]}")


def check_older_commands(godwit):
    """Removed from QEMU in 6.0: only godwit has them."""
    for request, expected in (({"execute": "migrate_set_speed", "arguments": {"value": 1 << 70}}, {}),
                              ({"execute": "migrate_set_speed", "arguments": {"value": 0}}, {}),
                              ({"execute": "migrate_set_downtime", "arguments": {"value": 0.3}}, {}),
                              ({"execute": "migrate_set_speed"}, "Parameter 'value' is missing"),
                              ({"execute": "migrate_set_downtime", "arguments": {"value": "1"}},
                               "Invalid parameter type for 'value', expected: number")):
        answer = godwit.ask(request)
        given = answer["error"]["desc"] if "error" in answer else answer["return"]
        assert given == expected, (request, answer)
    parameters = godwit.command("query-migrate-parameters")
    assert (parameters["max-bandwidth"], parameters["downtime-limit"]) == (0, 300), parameters


def compare(arguments):
    sink = Sink()
    with Workspace() as workspace:
        files = {name: workspace.memory_path(name) for name in ("qemu", "godwit")}
        for path in files.values():
            pairs.write_memory(path, SIZE_MIB)
        qemu = Speaker(pairs.start_qemu(workspace, "qemu", SIZE_MIB, memory_file=files["qemu"]))
        godwit = Speaker(pairs.start_godwit(workspace, "godwit", arguments.program, SIZE_MIB, memory_file=files["godwit"]))
        dialogue = Dialogue(qemu, godwit, sink)
        dialogue.run()
        comparison = dialogue.comparison
        compare_schemas(comparison, schema_of(qemu), schema_of(godwit))
        check_older_commands(godwit)
        unused = [f"no such difference any more: {rule}" for rule in qmp_differences.ALLOWED if rule not in comparison.used]
        print(f"{comparison.steps} requests compared, {len(comparison.used)} known differences, {machines.QEMU}", flush=True)
        assert not comparison.unexplained + unused, "\n" + "\n".join(comparison.unexplained + unused)
    sink.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    arguments = parser.parse_args()
    for attempt in range(3):
        try:
            return compare(arguments)
        except SilentQemu:
            print(f"attempt {attempt + 1}: QEMU's monitor does not answer any more", flush=True)
    raise SystemExit("QEMU did not get through the dialogue")


main()
