"""The bytes of RDMA's control connection (docs/rdma.md), and somebody in the middle who changes them."""

import contextlib
import pathlib
import socket
import struct
import threading

MAGIC = b"GWRD"
HELLO_BYTES = 48
HEADER_BYTES = 16
MOST_PAYLOAD_BYTES = 512 * 1024 - HEADER_BYTES

ERROR, READY, STREAM, RAM_BLOCKS_REQUEST, RAM_BLOCKS_RESULT, COMPRESS, REGISTER_REQUEST, REGISTER_RESULT, REGISTER_FINISHED, \
    UNREGISTER_REQUEST, UNREGISTER_FINISHED, HEARTBEAT, END_OF_STREAM = range(1, 14)
SHM = 1


def host_id():
    """The boot id and the namespace of process ids, as a hello has them."""
    boot_id = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").replace("-", "").strip()
    return bytes.fromhex(boot_id) + struct.pack(">Q", pathlib.Path("/proc/self/ns/pid").stat().st_ino)


def hello(version=1, flags=1, transport=SHM, refusal=0, tail=b"", tail_bytes=None):
    return (MAGIC + struct.pack(">III", version, flags, transport) + host_id() +
            struct.pack(">BBHI", 0, refusal, 0, len(tail) if tail_bytes is None else tail_bytes) + tail)


def message(kind, payload=b"", repeat=1, padding=0, payload_bytes=None):
    return struct.pack(">IIII", len(payload) if payload_bytes is None else payload_bytes, kind, repeat, padding) + payload


def receive(connection, count):
    """All of them. Raises EOFError."""
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise EOFError(f"{len(data)} of {count} bytes")
        data += piece
    return data


def receive_hello(connection):
    """(version, flags, transport, refusal, tail)"""
    data = receive(connection, HELLO_BYTES)
    version, flags, transport = struct.unpack(">III", data[4:16])
    tail = receive(connection, struct.unpack(">I", data[44:])[0])
    return version, flags, transport, data[41], tail


def receive_message(connection):
    """(type, repeat, payload)"""
    payload_bytes, kind, repeat, _ = struct.unpack(">IIII", receive(connection, HEADER_BYTES))
    return kind, repeat, receive(connection, payload_bytes)


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


class Attack:
    """What happens to one message: the first of type `kind` from one side is replaced by `change(repeat, payload)`: bytes, which may
    be empty or more than a message. With `ends`, the connection ends there."""

    def __init__(self, kind, change, ends=False):
        self.kind = kind
        self.change = change
        self.ends = ends
        self.done = threading.Event()

    def apply(self, kind, repeat, payload):
        if kind != self.kind or self.done.is_set():
            return message(kind, payload, repeat)
        self.done.set()
        return self.change(repeat, payload)


class ManInTheMiddle:
    """Between a source, which connects to `port`, and a destination. Both are honest and neither knows of it."""

    def __init__(self, destination_port, to_destination=None, to_source=None):
        self._destination_port = destination_port
        self._attacks = (to_destination, to_source)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets = [self._listener]
        self._threads = []
        self._start(self._serve)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for each in self._sockets:
            each.close()

    def _start(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self):
        try:
            source, _ = self._listener.accept()
            self._sockets.append(source)
            destination = socket.create_connection(("127.0.0.1", self._destination_port))
            self._sockets.append(destination)
            destination.sendall(receive(source, HELLO_BYTES))
            answer = receive(destination, HELLO_BYTES)
            source.sendall(answer + receive(destination, struct.unpack(">I", answer[44:])[0]))
        except (OSError, EOFError):
            return
        self._start(self._pass_on, source, destination, self._attacks[0])
        self._start(self._pass_on, destination, source, self._attacks[1])

    @staticmethod
    def _pass_on(begin, end, attack):
        try:
            while True:
                kind, repeat, payload = receive_message(begin)
                end.sendall(attack.apply(kind, repeat, payload) if attack else message(kind, payload, repeat))
                if attack and attack.ends and attack.done.is_set():
                    break
        except (OSError, EOFError):
            pass
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_WR)
