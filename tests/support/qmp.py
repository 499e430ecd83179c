"""A QMP client in which every wait has a deadline."""

import json
import socket
import threading
import time

from .deadlines import Deadline, DeadlineExpired, wait_for


class QmpError(Exception):
    """The peer answered with an error, or its connection broke."""

    def __init__(self, command, error):
        self.command = command
        self.error_class = error.get("class", "")
        self.description = error.get("desc", "")
        self.members = error
        super().__init__(f"{command}: {self.error_class}: {self.description}")


class QmpClosed(QmpError):
    """The connection ended."""

    def __init__(self, command, detail):
        super().__init__(command, {"class": "Closed", "desc": detail})


class Event:
    """An event and the monotonic time at which it was read."""

    def __init__(self, name, data, time_s):
        self.name = name
        self.data = data
        self.time_s = time_s

    def __repr__(self):
        return f"Event({self.name}, {self.data}, {self.time_s:.6f})"


class QmpClient:
    """One connection. A thread of its own reads it, so that events get the time of their arrival.
    Commands may be sent from one thread at a time."""

    def __init__(self, path, timeout_s=30, negotiate=True, is_alive=lambda: True):
        self.path = str(path)
        self.timeout_s = timeout_s
        self._condition = threading.Condition()
        self._answers = {}
        self._events = []
        self._greeting = None
        self._closed = None
        self._next_id = 0
        self._socket = self._connect(timeout_s, is_alive)
        self._reader = threading.Thread(target=self._read, name="qmp", daemon=True)
        self._reader.start()
        self.greeting = self._wait(lambda: self._greeting, Deadline(timeout_s), "greeting")
        if negotiate:
            self.command("qmp_capabilities")

    def _connect(self, timeout_s, is_alive):
        def attempt():
            if not is_alive():
                raise QmpClosed("connect", f"the process that should serve {self.path} has ended")
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(self.path)
                return connection
            except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
                connection.close()
                return None

        return wait_for(attempt, timeout_s, f"connect to QMP at {self.path}")

    def _read(self):
        reason = "the connection ended"
        try:
            with self._socket.makefile("rb") as lines:
                for line in lines:
                    self._take(json.loads(line), time.monotonic())
        except (OSError, ValueError) as error:
            reason = str(error)
        with self._condition:
            self._closed = reason
            self._condition.notify_all()

    def _take(self, message, now):
        with self._condition:
            if "QMP" in message:
                self._greeting = message["QMP"]
            elif "event" in message:
                self._events.append(Event(message["event"], message.get("data", {}), now))
            else:
                self._answers[message.get("id")] = message
            self._condition.notify_all()

    def _wait(self, predicate, deadline, what):
        with self._condition:
            while True:
                value = predicate()
                if value is not None and value is not False:
                    return value
                if self._closed is not None:
                    raise QmpClosed(what, self._closed)
                if deadline.expired():
                    raise DeadlineExpired(f"QMP {self.path}: no {what} within {deadline.timeout_s} s")
                self._condition.wait(deadline.left_s())

    def send(self, command, arguments=None, fds=(), verb="execute"):
        """Sends a command, with file descriptors if given, and returns its id without waiting."""
        self._next_id += 1
        message = {verb: command, "id": self._next_id}
        if arguments:
            message["arguments"] = arguments
        data = json.dumps(message).encode() + b"\n"
        try:
            if fds:
                sent = socket.send_fds(self._socket, [data], list(fds))
                if sent < len(data):
                    self._socket.sendall(data[sent:])
            else:
                self._socket.sendall(data)
        except OSError as error:
            raise QmpClosed(command, str(error)) from error
        return self._next_id

    def answer(self, message_id, command="command", timeout_s=None):
        """Waits for the answer to `send`. Raises QmpError if it is an error."""
        deadline = Deadline(self.timeout_s if timeout_s is None else timeout_s)
        message = self._wait(lambda: self._answers.pop(message_id, None), deadline, f"answer to {command}")
        if "error" in message:
            raise QmpError(command, message["error"])
        return message["return"]

    def command(self, command, arguments=None, timeout_s=None, fds=()):
        return self.answer(self.send(command, arguments, fds), command, timeout_s)

    def events(self, name=None):
        """The events so far, oldest first."""
        with self._condition:
            return [event for event in self._events if name in (None, event.name)]

    def wait_event(self, name, timeout_s=None, after=0, where=lambda data: True):
        """The first event of this name among those from index `after` (of that name) on whose data satisfies `where`."""
        deadline = Deadline(self.timeout_s if timeout_s is None else timeout_s)

        def found():
            named = [event for event in self._events if event.name == name]
            return next((event for event in named[after:] if where(event.data)), None)

        return self._wait(found, deadline, f"event {name}")

    def close(self):
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._reader.join(5)
        self._socket.close()

    # What tests of migration ask for most.

    def run_state(self):
        return self.command("query-status")["status"]

    def wait_run_state(self, *states, timeout_s=30):
        last = [None]

        def reached():
            last[0] = self.run_state()
            return last[0] if last[0] in states else None

        return wait_for(reached, timeout_s, lambda: f"run state {'/'.join(states)}, it is {last[0]}")

    def migration(self):
        return self.command("query-migrate")

    def wait_migration(self, *states, timeout_s=60):
        """Polls query-migrate until its status is one of `states`. An end of another kind is reported at once."""
        ends = {"completed", "failed", "cancelled"}
        last = [{}]

        def reached():
            last[0] = self.migration()
            status = last[0].get("status", "none")
            if status in states:
                return last[0]
            if status in ends:
                raise QmpError("migrate", {"class": status, "desc": last[0].get("error-desc", "")})
            return None

        return wait_for(reached, timeout_s, lambda: f"migration {'/'.join(states)}, it is {last[0]}")

    def pass_fd(self, name, fd):
        """Gives a descriptor to the peer under a name (getfd)."""
        self.command("getfd", {"fdname": name}, fds=[fd])
