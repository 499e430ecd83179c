#!/usr/bin/env python3
"""`godwit bench`: within this host, and between two processes, with a stranger that comes first."""

import argparse
import json
import re
import socket
import subprocess
import sys
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.processes import Workspace  # noqa: E402 pylint: disable=wrong-import-position


def run(program, *arguments, status=0):
    done = subprocess.run([program, "bench", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, f"{arguments}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def measures_this_host(program):
    found = json.loads(run(program, "--memory", "8M", "--rounds", "1", "--json").stdout)
    assert found["memory-bytes"] == 8 << 20, found
    rates = [found[name] for name in ("read-bytes-per-s", "copy-bytes-per-s", "find-zeros-bytes-per-s", "encode-bytes-per-s",
                                      "decode-bytes-per-s")]
    rates += [rate for transport in ("tcp", "unix") for rate in found["moves"][transport].values()]
    assert len(rates) == 9 and all(1e6 < rate < 1e13 for rate in rates), found
    assert 0 < found["find-dirty-ms"] < 10000, found


def measures_a_link(program):
    with Workspace() as workspace:
        listener = workspace.start("listener", [program, "bench", "--listen", "tcp:127.0.0.1:0", "--json"])
        listener.wait_stderr("waiting at tcp:127.0.0.1:")
        uri = re.search(r"waiting at (tcp:\S+)", listener.stderr())[1]
        with socket.create_connection(("127.0.0.1", int(uri.rpartition(":")[2])), timeout=10) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
            listener.wait_stderr("[stream-corrupt]")
        found = json.loads(run(program, "--to", uri, "--duration", "1", "--memory", "4G", "--dirty-rate", "1M", "--json").stdout)
        assert listener.wait_exit() == 0, listener.stderr()
        account = json.loads(listener.output.wait_line("{").text)
    assert account["received-bytes"] == found["sent-bytes"] > 0, (account, found)
    assert found["bytes-per-s"] > 1e6 and 0 < found["least-round-trip-ms"] <= found["round-trip-ms"], found
    estimate = found["estimate"]
    assert estimate["memory-bytes"] == 4 << 30 and estimate["dirty-bytes-per-s"] == 1 << 20, estimate
    assert estimate["ends"] and estimate["sent-bytes"] >= 4 << 30 and estimate["passes"] >= 2, estimate
    # What is sent takes about that long at this rate.
    assert abs(estimate["total-ms"] / 1000 / (estimate["sent-bytes"] / found["bytes-per-s"]) - 1) < 0.2, found


def refuses(program):
    assert "is no tcp: address" in run(program, "--to", "unix:/tmp/x", status=2).stderr
    assert "[connect]" in run(program, "--to", "tcp:127.0.0.1:1", status=1).stderr
    assert "requires --to" in run(program, "--dirty-rate", "1M", status=2).stderr
    assert "excludes" in run(program, "--listen", "tcp::0", "--to", "tcp::1", status=2).stderr
    assert "take less with --memory" in run(program, "--memory", "512T", status=1).stderr


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    program = parser.parse_args().program
    measures_this_host(program)
    measures_a_link(program)
    refuses(program)


main()
