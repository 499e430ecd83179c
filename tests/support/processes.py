"""Processes that tests start: their output with times, their end by pid, a directory for their files."""

import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from .deadlines import Deadline, DeadlineExpired, wait_for

_PR_SET_PDEATHSIG = 1
# How the reports of sanitizers begin.
_REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "FATAL: ThreadSanitizer", "runtime error: ")
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent():
    # A test that is killed (a time-out) must not leave a virtual machine behind.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Line:
    """A line of output and the monotonic time at which its end was read."""

    def __init__(self, text, time_s):
        self.text = text
        self.time_s = time_s

    def __repr__(self):
        return f"{self.time_s:.6f} {self.text}"


class LineReader:
    """Reads a descriptor in a thread of its own and keeps its lines with their times. `partial` is the unfinished last line."""

    def __init__(self, stream, name="output"):
        self.name = name
        self._fd = stream.fileno()
        self._stream = stream
        self._condition = threading.Condition()
        self._lines = []
        self._partial = b""
        self._ended = False
        self._thread = threading.Thread(target=self._read, name=f"read {name}", daemon=True)
        self._thread.start()

    def _read(self):
        while True:
            try:
                data = os.read(self._fd, 65536)
            except OSError:
                data = b""
            now = time.monotonic()
            with self._condition:
                if not data:
                    self._ended = True
                    self._condition.notify_all()
                    return
                *whole, self._partial = (self._partial + data).split(b"\n")
                self._lines += [Line(line.decode("ascii", "replace").rstrip("\r"), now) for line in whole]
                self._condition.notify_all()

    def lines(self, begin=0):
        with self._condition:
            return self._lines[begin:]

    def count(self):
        with self._condition:
            return len(self._lines)

    def partial(self):
        with self._condition:
            return self._partial.decode("ascii", "replace")

    def wait_line(self, matches, timeout_s=30, begin=0, what=None):
        """The first line from index `begin` on for which `matches` (a prefix or a function of the text) holds."""
        predicate = (lambda text: text.startswith(matches)) if isinstance(matches, str) else matches
        deadline = Deadline(timeout_s)
        with self._condition:
            while True:
                for line in self._lines[begin:]:
                    if predicate(line.text):
                        return line
                begin = max(begin, len(self._lines))
                if self._ended:
                    raise EOFError(f"{self.name} ended without {what or matches}; last lines: {self._lines[-5:]}")
                if deadline.expired():
                    raise DeadlineExpired(f"{self.name}: no {what or matches} within {deadline.timeout_s} s; last: {self._lines[-5:]}")
                self._condition.wait(deadline.left_s())

    def join(self, timeout_s=10):
        self._thread.join(timeout_s)


class Process:
    """A program with its input and output as pipes and its errors in a file."""

    def __init__(self, name, command, directory, pass_fds=(), environment=None):
        self.name = name
        self.command = [str(part) for part in command]
        self.stderr_path = pathlib.Path(directory) / f"{name}.stderr"
        with open(self.stderr_path, "wb") as stderr:
            # pylint: disable=consider-using-with,subprocess-popen-preexec-fn
            self._popen = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                                           pass_fds=pass_fds, env=environment, preexec_fn=_die_with_parent, bufsize=0)
        self.output = LineReader(self._popen.stdout, f"{name} output")

    @property
    def pid(self):
        return self._popen.pid

    def is_alive(self):
        return self._popen.poll() is None

    def exit_status(self):
        """None while it runs; negative: the signal that ended it."""
        return self._popen.poll()

    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    def write(self, data):
        self._popen.stdin.write(data)
        self._popen.stdin.flush()

    def signal(self, number):
        if self.is_alive():
            os.kill(self.pid, number)

    def kill(self):
        self.signal(signal.SIGKILL)
        # One that is in the middle of a flush ends when the disk has done it.
        return self._popen.wait(120)

    def wait_exit(self, timeout_s=30):
        deadline = Deadline(timeout_s)
        try:
            return self._popen.wait(deadline.left_s())
        except subprocess.TimeoutExpired:
            raise DeadlineExpired(f"{self.name} (pid {self.pid}) has not ended within {deadline.timeout_s} s") from None

    def wait_stderr(self, text, timeout_s=30):
        wait_for(lambda: text in self.stderr() or not self.is_alive(), timeout_s, f"{self.name} writes {text!r}")
        if text not in self.stderr():
            raise AssertionError(f"{self.name} ended without writing {text!r}:\n{self.stderr()}")

    def finish(self):
        """Ends it whatever it does and closes its pipes."""
        if self.is_alive():
            self.kill()
        self._popen.stdin.close()
        self.output.join()
        self._popen.stdout.close()


def is_stopped(process):
    """By SIGSTOP."""
    return pathlib.Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] == "T"


class Workspace:
    """A directory and the processes of one test. Leaving it ends them, by pid; after a failure it prints what they said."""

    def __init__(self, keep=False):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="godwit-test-"))
        self.processes = []
        self._cleanups = []
        self._keep = keep or bool(os.environ.get("GODWIT_KEEP"))

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None and kind is not SystemExit:
            traceback.print_exception(kind, error, trace)
            self.describe(sys.stderr)
        for process in self.processes:
            process.finish()
        reported = kind is None and self._print_reports(sys.stderr)
        for cleanup in reversed(self._cleanups):
            cleanup()
        if not self._keep:
            shutil.rmtree(self.directory, ignore_errors=True)
        if reported or (kind is not None and issubclass(kind, Exception)):
            sys.exit(1)
        return False

    def _print_reports(self, out):
        """What a sanitizer found in a process, which the test may have taken for an end that it expects. Whether there is any."""
        found = False
        for process in self.processes:
            said = process.stderr()
            if any(report in said for report in _REPORTS):
                found = True
                print(f"--- {process.name}: {' '.join(process.command)}\n{said}", file=out, flush=True)
        return found

    def path(self, name):
        return self.directory / name

    def memory_path(self, name):
        """A path for a large file, on a memory file system where there is one."""
        base = pathlib.Path("/dev/shm")
        if not base.is_dir():
            return self.path(name)
        path = base / f"{self.directory.name}-{name}"
        self.on_exit(lambda: path.unlink(missing_ok=True))
        return path

    def image_path(self, name):
        """A path for a disk image and the files beside it, likewise: no flush waits for a disk that is busy with other things."""
        base = pathlib.Path("/dev/shm")
        if not base.is_dir():
            return self.path(name)
        folder = base / f"{self.directory.name}-images"
        if not folder.exists():
            folder.mkdir(mode=0o700)
            self.on_exit(lambda: shutil.rmtree(folder, ignore_errors=True))
        return folder / name

    def on_exit(self, cleanup):
        self._cleanups.append(cleanup)

    def start(self, name, command, **options):
        process = Process(name, command, self.directory, **options)
        self.processes.append(process)
        return process

    def describe(self, out):
        for process in self.processes:
            print(f"--- {process.name}: {' '.join(process.command)}", file=out)
            print(f"    exit status {process.exit_status()}, last output:", file=out)
            for line in process.output.lines()[-12:]:
                print(f"    {line}", file=out)
            if process.output.partial():
                print(f"    unfinished: {process.output.partial()!r}", file=out)
            for line in process.stderr().splitlines()[-25:]:
                print(f"    stderr: {line}", file=out)
        out.flush()
