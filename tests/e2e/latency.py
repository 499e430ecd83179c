"""How soon a guest that writes at full speed stands still: when it is told to stop, for a switchover, and how soon a cancel takes effect.

The host may be busy: from each time that is taken the time is subtracted in which threads of the machine were ready and another process ran,
and the median of many is judged."""

import contextlib
import json
import pathlib
import threading
import time

import moving
from support import guest, pairs

LIMIT_MS = 10
MIB = 1 << 20


def waited_ns(*processes):
    """By thread, for how long it has waited for a processor."""
    waited = {}
    for process in processes:
        for path in pathlib.Path(f"/proc/{process}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError, IndexError):  # the thread has ended
                waited[path.parent.name] = int(path.read_text(encoding="ascii").split()[1])
    return waited


def difference_ms(before, now):
    """Threads that came or ended in between do not count."""
    return sum(now[thread] - before[thread] for thread in now.keys() & before.keys()) / 1e6


class Queue:
    """For how long a machine's threads and this program have waited for a processor since this was made."""

    def __init__(self, machine):
        self._processes = (machine.process.pid, "self")
        self._before_ns = waited_ns(*self._processes)

    def waited_ms(self):
        return difference_ms(self._before_ns, waited_ns(*self._processes))


class QueueLog(threading.Thread):
    """Notes every few milliseconds for how long a machine's threads have waited: for what only its trace tells when it was."""

    def __init__(self, machine):
        super().__init__()
        self._process = machine.process.pid
        self._ended = threading.Event()
        self._notes = []

    def __enter__(self):
        self._note()
        self.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self.join()
        self._note()

    def run(self):
        while not self._ended.wait(0.002):
            self._note()

    def _note(self):
        # The time before and after, so that what it says is of a moment in between.
        begin_ns = time.monotonic_ns()
        waited = waited_ns(self._process)
        self._notes.append((begin_ns, waited, time.monotonic_ns()))

    def waited_ms(self, begin_ns, end_ns):
        """Of the shortest time that was noted which has both moments."""
        before = [waited for _, waited, noted_ns in self._notes if noted_ns <= begin_ns]
        after = [waited for noted_ns, waited, _ in self._notes if noted_ns >= end_ns]
        return difference_ms(before[-1], after[0])


class Times:
    """Of one thing: how long it took, and how much of that nobody waited for a processor, in milliseconds."""

    def __init__(self, what):
        self.what = what
        self.took = []
        self.own = []

    def add(self, took_ms, queued_ms):
        self.took.append(took_ms)
        self.own.append(max(0.0, took_ms - queued_ms))

    def check(self):
        print(f"{self.what}: median {median(self.took):.2f} ms, longest {max(self.took):.2f} ms of {len(self.took)}; without waiting for a "
              f"processor median {median(self.own):.2f} ms, longest {max(self.own):.2f} ms", flush=True)
        assert median(self.own) < LIMIT_MS, self.own


def median(values):
    return sorted(values)[len(values) // 2]


def goes_on(machine):
    """Waits until the guest has written more than it had."""
    guest.wait_heartbeats(machine, 1, begin=machine.serial.count())


def stops(workspace, arguments):
    times = Times("stop")
    machine = moving.Setup(workspace, arguments).start_source()
    for _ in range(arguments.stops):
        queue = Queue(machine)
        begin = time.monotonic()
        machine.qmp.command("stop")
        took_ms = (time.monotonic() - begin) * 1000
        times.add(took_ms, queue.waited_ms())
        assert machine.qmp.run_state() == "paused"
        machine.qmp.command("cont")
        goes_on(machine)
    guest.expect_ok(machine)
    times.check()


def cancels(workspace, arguments):
    """Of a migration that has sent something, and whose end is far."""
    times = Times("migrate_cancel")
    setup = moving.Setup(workspace, arguments)
    source = setup.start_source()
    pairs.set_capability(source, "events", True)
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": 8 * MIB})
    for number in range(arguments.cancels):
        destination, uri = moving.TRANSPORTS["tcp"](setup, source, f"destination{number}")
        source.qmp.command("migrate", {"uri": uri})
        moving.wait_for(lambda: source.qmp.migration().get("ram", {}).get("transferred", 0) > MIB, 30, "the first MiB")
        before = len(source.qmp.events("MIGRATION"))
        queue = Queue(source)
        begin = time.monotonic()
        source.qmp.command("migrate_cancel")
        event = source.qmp.wait_event("MIGRATION", 30, after=before, where=lambda data: data["status"] == "cancelled")
        times.add((event.time_s - begin) * 1000, queue.waited_ms())
        goes_on(source)
        assert destination.process.wait_exit() == 1
    guest.expect_ok(source)
    times.check()


def switchovers(workspace, arguments):
    """From the decision until no CPU runs."""
    times = Times("stop for the switchover")
    setup = moving.Setup(workspace, arguments)
    traces = [workspace.path(f"machine{number}.trace") for number in range(arguments.moves + 1)]
    source = setup.start_source("machine0", extra=("--trace", str(traces[0])))
    for number in range(arguments.moves):
        destination = setup.start(f"machine{number + 1}", incoming="tcp:127.0.0.1:0", extra=("--trace", str(traces[number + 1])))
        with QueueLog(source) as queue:
            source.qmp.command("migrate", {"uri": pairs.listening_uri(destination)})
            figures = source.qmp.wait_migration("completed")
        goes_on(destination)
        events = [json.loads(line) for line in traces[number].read_text(encoding="utf-8").splitlines()]
        begin_ns = next(event["t_ns"] for event in events if event.get("step") == "source-stopping")
        end_ns = figures["x-godwit-stopped-at-ns"]
        times.add((end_ns - begin_ns) / 1e6, queue.waited_ms(begin_ns, end_ns))
        moving.end(source)
        source = destination
    guest.expect_ok(source)
    times.check()


def main():
    parser = moving.argument_parser()
    parser.set_defaults(dirtying="max")
    parser.add_argument("--stops", type=int, default=40)
    parser.add_argument("--cancels", type=int, default=10)
    parser.add_argument("--moves", type=int, default=5)
    arguments = parser.parse_args()
    for case in (stops, cancels, switchovers):
        with moving.Workspace() as workspace:
            case(workspace, arguments)


main()
