"""On an unlimited channel whole batches of pages leave in one system call, none of them copied: strace sees it.

The rule: a call on the migration's socket that carries pages and begins a batch offers at least 64 of them, as buffers of their own: one for
each page, or to a destination that knows runs of pages one for many.
A socket that takes less than it is offered leaves a tail; the next call offers that, and may be of any size."""

import argparse
import pathlib
import re
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import pairs  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.processes import Workspace  # noqa: E402

SIZE_MIB = 128
PAGE_BYTES = 4096
PAGES_PER_WRITE = 64
# Everything that can write to a socket.
CALLS = "write,writev,pwritev2,sendto,sendmsg,sendmmsg,splice,sendfile"
_CALL = re.compile(r"\w+\((\d+),.* = (\d+)$")
_BUFFER = re.compile(r"iov_len=(\d+)")


class Write:
    """A call that has written something; without buffers of its own it does not gather."""

    def __init__(self, fd, written, buffers):
        self.fd = fd
        self.written = written
        self.pages = sum(size // PAGE_BYTES for size in buffers if size % PAGE_BYTES == 0)
        self.offered = sum(buffers)

    def carries_pages(self):
        return self.pages > 0 or self.written >= PAGE_BYTES

    def is_short(self):
        return self.written < self.offered

    def __repr__(self):
        return f"{self.pages} pages offered, {self.written} bytes written"


def parse(line):
    call = _CALL.match(line)
    return Write(int(call[1]), int(call[2]), [int(size) for size in _BUFFER.findall(line)]) if call else None


def attach(workspace, process):
    """strace on all threads of the process, and on those that they start."""
    log = workspace.path("strace")
    # With -ff each thread has a file of its own, in which no call is torn in two by another thread's.
    strace = workspace.start("strace", ["strace", "-ff", "-qq", "-e", f"trace={CALLS}", "-e", "abbrev=none", "-s", "0", "-o", log,
                                        "-p", str(process.pid)])

    def traced():
        assert strace.is_alive(), strace.stderr()
        tasks = pathlib.Path(f"/proc/{process.pid}/task").glob("*/status")
        return all(f"TracerPid:\t{strace.pid}\n" in status.read_text(encoding="ascii") for status in tasks)

    wait_for(traced, 30, "strace traces every thread of the source")
    return strace, log


def trace_migration(workspace, program, has_return_path):
    """What the source has written, thread by thread, in the order of each."""
    memory_file = workspace.memory_path("memory")
    with open(memory_file, "wb") as file:
        file.write(b"\x5a" * (SIZE_MIB << 20))
    source = pairs.start_godwit(workspace, "source", program, SIZE_MIB, memory_file=memory_file)
    destination = pairs.start_godwit(workspace, "destination", program, SIZE_MIB, incoming="tcp:127.0.0.1:0")
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": 0})
    pairs.set_capability(source, "return-path", has_return_path)
    uri = pairs.listening_uri(destination)
    strace, log = attach(workspace, source.process)
    source.qmp.command("migrate", {"uri": uri})
    source.qmp.wait_migration("completed", timeout_s=60)
    strace.signal(signal.SIGTERM)
    strace.wait_exit(10)
    return [list(filter(None, map(parse, file.read_text().splitlines()))) for file in log.parent.glob(log.name + ".*")]


def check(program, has_return_path):
    with Workspace() as workspace:
        # The migration's thread is the one that has written the memory.
        writes = max(trace_migration(workspace, program, has_return_path), key=lambda thread: sum(write.written for write in thread))
        socket_fd = max(writes, key=lambda write: write.written).fd
        writes = [write for write in writes if write.fd == socket_fd]
        written = sum(write.written for write in writes)
        assert written > SIZE_MIB << 20, f"strace saw only {written} bytes"
        whole, tails = [], []
        after_short = False
        for write in filter(Write.carries_pages, writes):
            (tails if after_short else whole).append(write)
            after_short = write.is_short()
        small = [write for write in whole if write.pages < PAGES_PER_WRITE]
        assert not small, f"{len(small)} of {len(whole)} batches are smaller than {PAGES_PER_WRITE} pages: {small[:10]}"
        print(f"{len(whole)} batches of {min(write.pages for write in whole)} to {max(write.pages for write in whole)} pages, "
              f"{len(tails)} tails after short writes, return path {has_return_path}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    arguments = parser.parse_args()
    # Without a return path nobody can say that he knows runs.
    for has_return_path in (True, False):
        check(arguments.program, has_return_path)


main()
