"""The end of a machine on its way to a QEMU is cut within the last write: QEMU runs the guest and reports a failure, so the source must not."""

import argparse
import pathlib
import socket
import struct
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import pairs  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.processes import Workspace  # noqa: E402

# The command PING with the value after the devices (docs/handover.md): type, command, length, value.
PING_AFTER_DEVICES = struct.pack(">BHHI", 8, 2, 4, 0x6764776C)
PIECE_BYTES = 65536


def pass_until_end(client, server, end_bytes):
    """Passes on what the client sends up to so many bytes after that PING, then ends this direction."""
    sent = b""  # as much of its end as may be the begin of the PING
    left = None
    while left != 0:
        piece = client.recv(PIECE_BYTES)
        assert piece, "the source has ended before its commit"
        at = (sent + piece).find(PING_AFTER_DEVICES)
        if left is None and at >= 0:
            left = at + len(PING_AFTER_DEVICES) + end_bytes - len(sent)
        piece = piece[:left]
        left = None if left is None else left - len(piece)
        server.sendall(piece)
        sent = (sent + piece)[1 - len(PING_AFTER_DEVICES):]
    server.shutdown(socket.SHUT_WR)


def pass_back(server, client):
    while piece := server.recv(PIECE_BYTES):
        client.sendall(piece)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    arguments = parser.parse_args()
    for end_bytes in (1, 100):
        with Workspace() as workspace, socket.create_server(("127.0.0.1", 0)) as listener:
            source = pairs.start_godwit(workspace, "source", arguments.program, 16)
            destination = pairs.start_qemu(workspace, "destination", 16, incoming="tcp:127.0.0.1:0")
            port = pairs.listening_port(destination)
            source.qmp.command("migrate", {"uri": f"tcp:127.0.0.1:{listener.getsockname()[1]}"})
            client, _ = listener.accept()
            with client, socket.create_connection(("127.0.0.1", port)) as server:
                threads = [threading.Thread(target=pass_until_end, args=(client, server, end_bytes), daemon=True),
                           threading.Thread(target=pass_back, args=(server, client), daemon=True)]
                for thread in threads:
                    thread.start()
                failed = source.qmp.wait_migration("failed")
            assert "unknown whether the guest runs" in failed["error-desc"], failed
            assert source.qmp.run_state() != "running", "two guests may run"
            wait_for(lambda: destination.qmp.run_state() == "running", 30, "QEMU runs the guest")
            print(f"{end_bytes} of the last bytes: {failed['error-desc']}")


main()
