"""`godwit relay` as a command: who is refused, who is passed on, how it ends, its bandwidth and several migrations in turn."""

import argparse
import json
import pathlib
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import pairs  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.processes import Workspace  # noqa: E402
from support.relaying import RelayProgram  # noqa: E402

SIZE_MIB = 16
BYTES_PER_S = 4 << 20
BANDWIDTH_TRIALS = 5


def address_of(relay):
    host, _, port = relay.uri.removeprefix("tcp:").rpartition(":")
    return host, int(port)


def refused_usage(program):
    for arguments, status, part in ((["--listen", "rdma:127.0.0.1:0", "--to", "tcp:127.0.0.1:1"], 1, "cannot be relayed"),
                                    (["--listen", "tcp:127.0.0.1:0", "--to", "rdma:127.0.0.1:1"], 1, "cannot be relayed"),
                                    (["--listen", "tcp:127.0.0.1:0", "--to", "nonsense"], 2, "nonsense"),
                                    (["--listen", "tcp:127.0.0.1:0", "--to", "tcp:127.0.0.1:1", "--stall-after", "x"], 2, "'x'")):
        run = subprocess.run([program, "relay", *arguments], capture_output=True, text=True, timeout=30, check=False)
        assert run.returncode == status and part in run.stderr, (arguments, run)


def nobody_there(workspace, program):
    """The source is sent away at once."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    relay = RelayProgram(workspace, program, f"tcp:127.0.0.1:{port}", name="nobody")
    source = pairs.start_godwit(workspace, "refused", program, SIZE_MIB)
    source.qmp.command("migrate", {"uri": relay.uri})
    wait_for(lambda: source.qmp.migration().get("status") == "failed", 30, "the failure at the source")
    status, summary = relay.wait_end()
    assert status == 1 and summary is None and len(relay.errors()) == 1 and str(port) in relay.errors()[0], relay.process.stderr()
    assert source.qmp.run_state() == "running"


def no_migration(workspace, program):
    """Whatever it is, it passes, both ways; who says nothing before going is no source."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        relay = RelayProgram(workspace, program, f"tcp:127.0.0.1:{server.getsockname()[1]}", name="anything")
        socket.create_connection(address_of(relay)).close()
        with socket.create_connection(address_of(relay)) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            client.shutdown(socket.SHUT_WR)
            accepted, _ = server.accept()
            with accepted, accepted.makefile("rb") as lines:
                assert lines.read() == b"GET / HTTP/1.1\r\n\r\n"
                accepted.sendall(b"404")
            with client.makefile("rb") as answer:
                assert answer.read() == b"404"
        status, summary = relay.wait_end()
    assert status == 1 and summary["stream"]["undecoded"]["position"] == 8 and summary["backward-bytes"] == 3, summary


def interrupted(workspace, program):
    relay = RelayProgram(workspace, program, "tcp:127.0.0.1:1", name="idle")
    relay.process.signal(signal.SIGINT)
    assert relay.wait_end() == (3, None)
    destination = pairs.start_godwit(workspace, "stalled", program, SIZE_MIB, incoming="tcp:127.0.0.1:0")
    relay = RelayProgram(workspace, program, pairs.listening_uri(destination), name="busy", extra=["--stall-after", "8:60"])
    source = pairs.start_godwit(workspace, "waiting", program, SIZE_MIB)
    source.qmp.command("migrate", {"uri": relay.uri})
    wait_for(lambda: source.qmp.migration().get("status") == "setup", 30, "the begin of the migration")
    relay.process.signal(signal.SIGTERM)
    assert relay.wait_end()[0] == 3, relay.process.stderr()
    wait_for(lambda: source.qmp.migration().get("status") == "failed", 30, "the failure at the source")
    assert source.qmp.run_state() == "running"


def bandwidth(workspace, program):
    """Within 5 % over some seconds. Where the machine itself stops for longer than a relay makes up for, once more."""
    rates = []
    while not rates or (rates[-1] < 0.95 and len(rates) < BANDWIDTH_TRIALS):
        rates.append(measure_rate(workspace, program, f"slow{len(rates)}"))
    print(f"bandwidth, as a part of the limit: {rates}")
    assert 0.95 <= rates[-1] and max(rates) <= 1.05, rates


def measure_rate(workspace, program, name):
    """As a part of the limit. The program tells how far it is meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        relay = RelayProgram(workspace, program, f"tcp:127.0.0.1:{server.getsockname()[1]}", name=name,
                             extra=["--bandwidth", "4M", "--interval", "200"])
        with socket.create_connection(address_of(relay)) as client:
            client.setblocking(False)
            got, begin = 0, None
            accepted = None
            while begin is None or time.monotonic() - begin < 2.5:
                try:
                    client.send(bytes(1 << 20))
                except BlockingIOError:
                    pass
                accepted = accepted or server.accept()[0]
                got += len(accepted.recv(1 << 20))
                begin = begin or time.monotonic()
            seconds = time.monotonic() - begin
            accepted.close()
        relay.wait_end()
        assert "forward " in relay.process.stderr() and "pass " in relay.process.stderr(), relay.process.stderr()
    return round(got / seconds / BYTES_PER_S, 3)


def one_after_the_other(workspace, program):
    source = pairs.start_godwit(workspace, "first", program, SIZE_MIB)
    stream = workspace.path("stream")
    relay = RelayProgram(workspace, program, f"unix:{stream}", name="keep", extra=["--keep"])
    machine = source
    for number in range(3):
        destination = pairs.start_godwit(workspace, f"next{number}", program, SIZE_MIB, incoming=f"unix:{stream}")
        destination.qmp.run_state()
        machine.qmp.command("migrate", {"uri": relay.uri})
        machine.qmp.wait_migration("completed")
        destination.qmp.wait_run_state("running")
        machine = destination
    wait_for(lambda: relay.process.output.count() == 3, 30, "three summaries")
    relay.process.signal(signal.SIGINT)
    status, _ = relay.wait_end()
    summaries = [json.loads(line.text) for line in relay.process.output.lines()]
    assert status == 0 and all(summary["failure"] is None for summary in summaries), (status, summaries)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    program = parser.parse_args().program
    refused_usage(program)
    with Workspace() as workspace:
        nobody_there(workspace, program)
        no_migration(workspace, program)
        interrupted(workspace, program)
        bandwidth(workspace, program)
        one_after_the_other(workspace, program)


main()
