"""`godwit relay` cuts, stalls and corrupts migrations: the guest is in one place, and each side says what happened."""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import pairs  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.processes import Workspace  # noqa: E402
from support.qmp import QmpError  # noqa: E402
from support.relaying import RelayProgram  # noqa: E402

SIZE_MIB = 16
ENDED = ("completed", "failed", "cancelled")
# Of a stream of `-M none` or `--machine none`: behind the magic, the version and the configuration come the commands.
CONFIGURATION_AT, COMMAND_AT = 8, 17
# Messages: SHUT; LOADED and RUNNING; the command COMMIT.
SHUT_BYTES, SHORT_BYTES, COMMIT_BYTES = 8, 4, 5
# Of godwit's; a QEMU waits for as long as it takes.
IDLE_MS = 1500
# Where a busy machine divides a stream differently, it is some bytes longer or shorter than measured, and a cut by its length misses its place.
AIMS = 5


class Trial:
    """One migration from a source that is used again and again to a new destination."""

    count = 0

    def __init__(self, workspace, arguments, source):
        Trial.count += 1
        self.source = source
        self.source_kind, self.destination_kind = arguments.source, arguments.destination
        name = f"destination{Trial.count}"
        if self.destination_kind == "qemu":
            self.destination = pairs.start_qemu(workspace, name, SIZE_MIB, incoming="tcp:127.0.0.1:0")
        else:
            self.destination = pairs.start_godwit(workspace, name, arguments.program, SIZE_MIB, incoming="tcp:127.0.0.1:0")
            set_idle_timeout(self.destination)
        self.workspace, self.program = workspace, arguments.program
        self.relay = None

    def begin(self, *mischief):
        self.relay = RelayProgram(self.workspace, self.program, pairs.listening_uri(self.destination),
                                  name=f"relay{Trial.count}", extra=mischief)
        self.source.qmp.command("migrate", {"uri": self.relay.uri})

    def end(self):
        """The relay's exit status and summary, once the source's migration and the relay have ended."""
        wait_for(lambda: self.source.qmp.migration().get("status") in ENDED, 30, "the end at the source")
        return self.relay.wait_end(30)

    def move(self, *mischief):
        self.begin(*mischief)
        return self.end()

    def destination_state(self):
        """Its run state, or None when it has ended."""
        try:
            return self.destination.qmp.run_state()
        except QmpError:
            assert not self.destination.process.is_alive()
            return None

    def close(self):
        """A program more that polls costs the next trial's time."""
        self.destination.close()
        self.destination.process.kill()


def set_idle_timeout(machine):
    machine.qmp.command("migrate-set-parameters", {"idle-timeout": IDLE_MS, "switchover-timeout": IDLE_MS})


def check_refused(trial, what, is_noticed=True):
    """The source has the guest, says why it still has it, and the destination is gone with a word."""
    migration = trial.source.qmp.migration()
    assert migration["status"] == "failed", (what, migration)
    assert trial.source.qmp.run_state() == "running", (what, trial.source.qmp.run_state())
    if trial.source_kind == "godwit":
        assert migration.get("error-desc") and migration["x-godwit-error-code"] != "handover-unknown", (what, migration)
    if not is_noticed:
        # Nothing came of which it could be told that it is a migration: it goes on waiting.
        assert trial.destination_state() == "inmigrate", (what, trial.destination_state())
        return
    status = trial.destination.process.wait_exit(30)
    assert status > 0, (what, status)
    words = trial.destination.process.stderr()
    if trial.destination_kind == "godwit":
        assert len([line for line in words.splitlines() if line.startswith("godwit: ")]) == 1, (what, words)
    assert words.strip(), (what, "the destination says nothing")


def check_relay(trial, status, part, what):
    errors = trial.relay.errors()
    assert status == 1 and len(errors) == 1 and part in errors[0], (what, status, errors)


def find_place(trial, what):
    """In which state both sides are: never do both run, and one on which the guest is complete and paused says that it does not know."""
    here = trial.source.qmp.run_state()
    there = wait_for(lambda: trial.destination_state() not in ("inmigrate", "finish-migrate") and (trial.destination_state(),), 30,
                     f"the end at the destination ({what})")[0]
    assert (here, there).count("running") <= 1, (what, here, there)
    for machine, state in ((trial.source, here), (trial.destination, there)):
        if state == "paused":
            migration = machine.qmp.migration()
            assert migration["x-godwit-error-code"] == "handover-unknown" and migration["error-desc"], (what, migration)
    return here, there


def refusals(lengths):
    """What to do, and what the relay says of it; after each the guest is where it was."""
    forward = lengths["forward-bytes"]
    for position in (0, 8, COMMAND_AT, 500, forward // 2, forward - 3000):
        yield ["--cut-after", str(position)], f"cut on purpose, after {position} bytes forward"
    yield ["--corrupt", "0"], ""
    # A QEMU does not wait for the answer: what it sends must not all have arrived by then.
    for position in (1, 6):
        yield ["--cut-return-after", str(position), "--bandwidth", "2M"], f"and {position} backward"
    yield ["--corrupt", f"{CONFIGURATION_AT}"], ""
    yield ["--corrupt", f"{COMMAND_AT}:2"], ""
    yield ["--corrupt", f"{COMMAND_AT + 14}:16"], ""


def edges(arguments, lengths):
    """Cuts within the messages of the handover, and where the guest is afterwards: at the source, at the destination (docs/handover.md)."""
    backward = lengths["backward-bytes"]
    if arguments.source == "qemu" and arguments.destination == "godwit":
        yield ["--cut-return-after", f"{backward - SHUT_BYTES + 1}"], ("running", "paused")
    elif arguments.source == "godwit" and arguments.destination == "qemu":
        yield ["--cut-return-after", f"{backward - SHUT_BYTES + 1}"], ("paused", "running")
    elif arguments.source == "godwit":
        yield ["--cut-return-after", f"{backward - SHUT_BYTES - 2 * SHORT_BYTES + 1}"], ("running", "paused")  # within LOADED
        yield ["--cut-after", f"{lengths['forward-bytes'] - COMMIT_BYTES + 1}"], ("paused", "paused")  # within COMMIT
        yield ["--cut-return-after", f"{backward - SHUT_BYTES - SHORT_BYTES + 1}"], ("paused", "running")  # within RUNNING


def wait_stalled(source, stalls_after):
    """It has sent as much as passes, and from one look to the next nothing more."""
    seen = []

    def stands():
        seen.append(source.qmp.migration().get("ram", {}).get("transferred", 0))
        return seen[-1] >= stalls_after and seen[-2:-1] == seen[-1:]

    wait_for(stands, 30, "the source to stand still")


def stall(arguments, workspace, source, lengths):
    """A godwit at the source gives up. A QEMU has no deadline, and a godwit has none for it: it is cancelled."""
    trial = Trial(workspace, arguments, source)
    mischief = ["--stall-after", f"{lengths['forward-bytes'] // 2}"]
    if arguments.source == "qemu":
        trial.begin(*mischief)
        wait_stalled(source, lengths["forward-bytes"] // 2)
        source.qmp.command("migrate_cancel")
        source.qmp.wait_migration("cancelled")
        status, _ = trial.end()
        assert source.qmp.run_state() == "running"
        assert trial.destination.process.wait_exit(30) > 0
    else:
        status, _ = trial.move(*mischief)
        check_refused(trial, mischief)
    check_relay(trial, status, "cut on purpose", mischief)
    print(f"{' '.join(mischief)}: given up; relay: {trial.relay.errors()[0]}")


def run(arguments, workspace):
    memory = workspace.memory_path("source")
    pairs.write_memory(memory, SIZE_MIB)

    def start_source(name):
        if arguments.source == "qemu":
            source = pairs.start_qemu(workspace, name, SIZE_MIB, memory_file=memory)
        else:
            source = pairs.start_godwit(workspace, name, arguments.program, SIZE_MIB, memory_file=memory)
            set_idle_timeout(source)
        pairs.set_capability(source, "return-path", True)
        return source

    def one_more(name, *mischief):
        trial = Trial(workspace, arguments, start_source(name))
        return trial, *trial.move(*mischief)

    trial, status, lengths = one_more("measured")
    assert status == 0, trial.relay.process.stderr()
    trial.close()
    source = start_source("source")
    for mischief, words in refusals(lengths):
        trial = Trial(workspace, arguments, source)
        status, _ = trial.move(*mischief)
        check_relay(trial, status, words, mischief)
        is_noticed = arguments.destination == "qemu" or mischief not in (["--cut-after", "0"], ["--corrupt", "0"])
        check_refused(trial, mischief, is_noticed)
        trial.close()
        print(f"{' '.join(mischief)}: refused; relay: {trial.relay.errors()[0]}")
    stall(arguments, workspace, source, lengths)
    # One that passes harms nobody.
    trial = Trial(workspace, arguments, source)
    status, summary = trial.move("--stall-after", f"{lengths['forward-bytes'] // 2}:0.3")
    assert status == 0 and summary["time-ms"] >= 300, (status, summary)
    trial.destination.qmp.wait_run_state("running")
    pairs.assert_same_memory(source, trial.destination)
    for number in range(len(list(edges(arguments, lengths)))):
        places = []
        for aim in range(AIMS):
            mischief, expected = list(edges(arguments, lengths))[number]
            trial, status, _ = one_more(f"edge{number}.{aim}", *mischief)
            places.append(find_place(trial, mischief))
            trial.close()
            if places[-1] == expected:
                check_relay(trial, status, "cut on purpose", mischief)
                break
            trial, status, lengths = one_more(f"measured{number}.{aim}")
            assert status == 0, trial.relay.process.stderr()
            trial.close()
        assert places[-1] == expected, (mischief, expected, places)
        print(f"{' '.join(mischief)}: source {expected[0]}, destination {expected[1]}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--source", required=True, choices=["qemu", "godwit"])
    parser.add_argument("--destination", required=True, choices=["qemu", "godwit"])
    arguments = parser.parse_args()
    with Workspace() as workspace:
        run(arguments, workspace)


main()
