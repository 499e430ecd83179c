"""No room where a guest is to go: for its memory, its disk, a saved machine. One clear error, the guest goes on at the source, and it
moves as soon as there is room."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "network"))

# pylint: disable=wrong-import-position
from scene import ENDED, MIB, End, Scene, end_of, guest, pairs, run_cases, wait_for  # noqa: E402
from support import disks  # noqa: E402
from support.disk_guest import DiskGuest, migrate  # noqa: E402

APPEND = "working-set=24M rate=8000 pattern=random heartbeat-ms=20 fill=words"
HALF_MIB, ENOUGH_MIB = 12, 64
ENDS_WITHIN_S = 10
ATTEMPTS = 10
MEMORY_WORDS = "a page of guest memory cannot be had"


class Room:
    """A small file system, in this test's own mount namespace."""

    def __init__(self, workspace, size_mib):
        self.folder = workspace.path("small")
        self.folder.mkdir()
        self._mount(f"size={size_mib}m")

    def enlarge(self):
        self._mount(f"remount,size={ENOUGH_MIB}m")

    def _mount(self, options):
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.folder], check=True)


def expect_words(machine, *words):
    for word in words:
        assert word in machine.process.stderr(), machine.process.stderr()


def memory(here: Scene):
    room = Room(here.workspace, HALF_MIB)
    here.start(has_destination=False)
    here.start_destination("first", memory_file=room.folder / "first")
    here.migrate()
    here.expect_kept("memory", limit_s=ENDS_WITHIN_S)
    figures = here.source.qmp.migration()
    assert MEMORY_WORDS in figures["error-desc"] and figures["error-desc"].startswith("the destination says: "), figures
    expect_words(here.destination, MEMORY_WORDS, "[memory]", "whether the file system of the memory file is full")
    (room.folder / "first").unlink()
    room.enlarge()
    here.start_destination("second", memory_file=room.folder / "second")
    here.migrate()
    here.expect_moved()
    return figures["error-desc"]


def memory_over_rdma(here: Scene):
    """Where the source's process writes into the destination's: it finds out, and the destination hears that it gave up."""
    room = Room(here.workspace, HALF_MIB)
    here.rdma = "shm"
    here.start(has_destination=False)
    here.start_destination("first", memory_file=room.folder / "first")
    here.migrate()
    here.expect_kept("memory", limit_s=ENDS_WITHIN_S)
    figures = here.source.qmp.migration()
    assert MEMORY_WORDS in figures["error-desc"], figures
    expect_words(here.destination, "the peer gave up", "[peer-closed]")
    (room.folder / "first").unlink()
    room.enlarge()
    here.start_destination("second", memory_file=room.folder / "second")
    here.migrate()
    here.expect_moved()
    return figures["error-desc"]


def memory_in_a_later_pass(here: Scene):
    """The guest uses more and more. In later passes pages come by way of a buffer, and it is the program, not the kernel, to which a
    page is refused."""
    room = Room(here.workspace, HALF_MIB)
    here.start(has_destination=False, is_ready=False)
    # On a busy host the guest may not have run during a whole pass: then it is held, not handed over.
    pairs.set_capability(here.source, "pause-before-switchover", True)
    for attempt in range(ATTEMPTS):
        here.start_destination(f"destination{attempt}", memory_file=room.folder / f"memory{attempt}")
        here.migrate({"downtime-limit": 0, "max-bandwidth": 4 * MIB})
        if wait_for(lambda: here.source.qmp.migration()["status"] in ("failed", "pre-switchover") and here.source.qmp.migration(), 60,
                    "an end")["status"] == "failed":
            break
        here.source.qmp.command("migrate_cancel")
        here.destination.process.wait_exit()
        (room.folder / f"memory{attempt}").unlink()
    code, _ = here.expect_end("memory", "peer-closed")
    said = here.destination.process.stderr()
    assert MEMORY_WORDS in said or "guest memory is lost" in said, said
    guest.wait_ready(here.source)
    here.check_guest_at_source()
    pairs.set_capability(here.source, "pause-before-switchover", False)
    here.expect_moves_again()
    return f"{code}, the destination says: {said.splitlines()[-1].strip()}"


def saved_machine(here: Scene):
    room = Room(here.workspace, HALF_MIB)
    here.start(has_destination=False)
    uri = f"file:{room.folder}/saved"
    here.migrate(uri=uri)
    end = wait_for(lambda: end_of(here.source), ENDS_WITHIN_S, "the end of the save")
    assert end == End("running", "failed", "io"), end
    figures = here.source.qmp.migration()
    assert "No space left on device" in figures["error-desc"] and "free some space" in figures["x-godwit-error-hint"], figures
    assert not list(room.folder.iterdir()), "something was left behind"
    here.check_guest_at_source()
    room.enlarge()
    here.migrate(uri=uri)
    here.source.qmp.wait_migration("completed")
    assert (room.folder / "saved").stat().st_size == here.source.qmp.migration()["ram"]["transferred"]
    here.source.qmp.command("cont")
    here.check_guest_at_source()
    return figures["error-desc"]


def disk(here: Scene):
    """With a guest that writes to it meanwhile."""
    room = Room(here.workspace, 2)
    subject = DiskGuest(here.workspace, here.arguments, (6 * MIB,), memory="16M", append="working-set=2M rate=0 heartbeat-ms=20",
                        span_bytes=MIB)
    disks.write_raw(subject.images("source")[0], 6 * MIB, [(4 * MIB, 2 * MIB)])  # beyond what the guest writes
    source = subject.start_source()
    small = room.folder / "disk.img"
    with open(small, "wb") as image:
        image.truncate(6 * MIB)
    first = subject.start_destination("first", images=[small])
    source.qmp.command("migrate", {"uri": pairs.listening_uri(first), "blk": True})
    end = wait_for(lambda: end_of(source), ENDS_WITHIN_S, "the end at the source")
    assert end == End("running", "failed", "disk"), end
    assert wait_for(lambda: end_of(first), ENDS_WITHIN_S, "the end at the destination") == ENDED
    said = source.qmp.migration()["error-desc"]
    assert "No space left on device" in said, said
    expect_words(first, "No space left on device", "[disk]")
    subject.outputs.remove(first.serial)
    subject.wait_writes(source, 8)
    room.enlarge()
    second = subject.start_destination("second", images=[small])
    migrate(source, second)
    subject.power_off(second)
    subject.check_serial()
    subject.check_images("second", [small])
    return said


def expect_no_start(here, what, command, *words):
    """The destination does not begin to wait for a guest that it could not take."""
    process = here.workspace.start(what, [*command, "--incoming", "tcp:127.0.0.1:0"])
    assert process.wait_exit() == 1, process.exit_status()
    for word in words:
        assert word in process.stderr(), process.stderr()
    return process.stderr().splitlines()[0]


def address_space(here: Scene):
    command = ["prlimit", f"--as={2048 * MIB}", here.arguments.program, "run", "--machine", "none", "--memory", "8G"]
    return expect_no_start(here, "limited", command, "cannot map", "Cannot allocate memory")


def preallocated(here: Scene):
    """Whoever wants to know at the start asks for it."""
    room = Room(here.workspace, HALF_MIB)
    command = [here.arguments.program, "run", "--machine", "none", "--memory", "32M", "--memory-prealloc", "--memory-file",
               room.folder / "memory"]
    return expect_no_start(here, "preallocating", command, "cannot be preallocated")


run_cases(memory, memory_over_rdma, memory_in_a_later_pass, saved_machine, disk, address_space, preallocated, append=APPEND)
