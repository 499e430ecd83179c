"""A TCP relay that can cut, stall or slow down a connection, counts its bytes and keeps a copy."""

import socket
import threading
import time

from .deadlines import wait_for


class Direction:
    """One way through a connection. Written by its own thread."""

    def __init__(self, name):
        self.name = name
        self.bytes = 0
        self.ended = False      # the sender closed its end
        self.stalled = False    # bytes wait in the relay or in the sender
        self.flow = threading.Event()
        self.flow.set()


class Relay:
    """Listens on loopback and forwards each connection to (host, port).

    `cut_after`, `stall_after`: when so many bytes have been forwarded (client to server), the connection is reset, or nothing
    more is read until `resume`. `bytes_per_s`: what goes through at most, client to server; `delay_s`: each piece of at most 256 KiB waits so long there. `spoil`: (first, end), bytes that arrive as 0xff instead. `tee`: path of a file that gets what the client sent. Byte counts are over all connections."""

    def __init__(self, host, port, cut_after=None, stall_after=None, bytes_per_s=None, delay_s=0, spoil=None, tee=None, family=socket.AF_INET):
        self.target = (host, port)
        self.cut_after = cut_after
        self.stall_after = stall_after
        self.bytes_per_s = bytes_per_s
        self.delay_s = delay_s
        self._paced_from = None  # (moment, bytes before it)
        self.spoil = spoil
        self.forward = Direction("forward")
        self.backward = Direction("backward")
        self.was_cut = threading.Event()
        self._family = family
        self._closing = False
        self._lock = threading.Lock()
        self._sockets = []
        self._threads = []
        self._tee = open(tee, "wb") if tee else None  # pylint: disable=consider-using-with
        self._listener = socket.create_server(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), family=family)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _start(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(self._family, socket.SOCK_STREAM)
            try:
                server.connect(self.target)
            except OSError:
                server.close()
                client.close()
                continue
            with self._lock:
                self._sockets += [client, server]
            self._start(self._pump, client, server, self.forward)
            self._start(self._pump, server, client, self.backward)

    def _allowance(self, direction, wanted):
        """How many bytes may be read now; 0 says that the connection was cut."""
        if direction is self.forward:
            if self.stall_after is not None:
                left = self.stall_after - direction.bytes
                if left <= 0:
                    self.stall_after = None
                    self.stall()
                else:
                    wanted = min(wanted, left)
            if self.cut_after is not None:
                left = self.cut_after - direction.bytes
                if left <= 0:
                    self.cut()
                    return 0
                wanted = min(wanted, left)
        direction.stalled = not direction.flow.is_set()
        direction.flow.wait()
        direction.stalled = False
        return 0 if self._closing else wanted

    def _pace(self, size):
        """Waits until so many bytes more may have gone through. A late wake-up is made up for."""
        if self._paced_from is None:
            self._paced_from = (time.monotonic(), self.forward.bytes)
        begin, before = self._paced_from
        due = begin + (self.forward.bytes - before + size) / self.bytes_per_s
        time.sleep(max(0, due - time.monotonic()))

    def _spoilt(self, data):
        first, end = (min(max(edge - self.forward.bytes, 0), len(data)) for edge in self.spoil)
        return data[:first] + b"\xff" * (end - first) + data[end:]

    def _pump(self, source, sink, direction):
        try:
            while True:
                allowed = self._allowance(direction, 64 * 1024 if self.bytes_per_s else 256 * 1024)
                data = source.recv(allowed) if allowed else b""
                if not data:
                    break
                if not direction.flow.is_set():
                    direction.stalled = True
                    direction.flow.wait()
                    direction.stalled = False
                if self.spoil and direction is self.forward:
                    data = self._spoilt(data)
                if self.bytes_per_s and direction is self.forward:
                    self._pace(len(data))
                if direction is self.forward:
                    time.sleep(self.delay_s)
                sink.sendall(data)
                direction.bytes += len(data)
                if self._tee and direction is self.forward:
                    self._tee.write(data)
            direction.ended = True
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            direction.ended = True

    def cut(self):
        """Resets every connection; new ones are still taken."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for each in sockets:
            try:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()
        self.was_cut.set()

    def stall(self, *directions):
        """Both of them unless told."""
        for direction in directions or (self.forward, self.backward):
            direction.flow.clear()

    def resume(self):
        for direction in (self.forward, self.backward):
            direction.flow.set()

    def wait_forwarded(self, count, timeout_s=30):
        wait_for(lambda: self.forward.bytes >= count, timeout_s, lambda: f"{count} bytes, {self.forward.bytes} went through")

    def wait_ended(self, timeout_s=30):
        """Waits until the client has closed its end and all of it was forwarded (and is in the tee)."""
        wait_for(lambda: self.forward.ended, timeout_s, "the end of the stream")

    def close(self):
        self._closing = True
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self.resume()
        self.cut()
        for thread in self._threads:
            thread.join(5)
        if self._tee:
            self._tee.close()
