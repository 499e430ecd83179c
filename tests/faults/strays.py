"""Connections that are no migration do not end the wait for the real one."""

import argparse
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import pairs  # noqa: E402
from support.processes import Workspace  # noqa: E402

SIZE_MIB = 16


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    arguments = parser.parse_args()
    with Workspace() as workspace:
        memory_file = workspace.memory_path("memory")
        pairs.write_memory(memory_file, SIZE_MIB)
        source = pairs.start_godwit(workspace, "source", arguments.program, SIZE_MIB, memory_file=memory_file)
        destination = pairs.start_godwit(workspace, "destination", arguments.program, SIZE_MIB, incoming="tcp:127.0.0.1:0")
        address = ("127.0.0.1", pairs.listening_port(destination))
        socket.create_connection(address).close()
        with socket.create_connection(address) as scan:
            scan.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        with socket.create_connection(address) as http:
            http.settimeout(10)
            http.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            try:
                assert http.recv(100) == b"", "an HTTP request got an answer"
            except ConnectionResetError:
                pass
        with socket.create_connection(address), socket.create_connection(address) as slow:
            slow.sendall(b"QE")
            source.qmp.command("migrate", {"uri": f"tcp:127.0.0.1:{address[1]}"})
            source.qmp.wait_migration("completed")
        destination.qmp.wait_run_state("running")
        pairs.assert_same_memory(source, destination)
        print("strays: ignored")


main()
