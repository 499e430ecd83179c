"""Migration over RDMA from end to end: what there is only here. What is the same over any transport is in e2e_migrate.py, ping_pong.py and
steering.py."""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import accelerators, guest, pairs, rdma  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.disk_guest import DiskGuest  # noqa: E402
from support.disk_guest import migrate as migrate_with_disks  # noqa: E402
from support.processes import Workspace  # noqa: E402

MIB = 1 << 20
ANY = "rdma:127.0.0.1:0"
# Writes 20 MB each second.
PACED = "working-set=48M rate=5000 pattern=small heartbeat-ms=20 fill=words"


class Test:
    """Machines of one case. Those without a guest have memory files."""

    def __init__(self, workspace, arguments):
        self.workspace = workspace
        self.arguments = arguments
        self.program = arguments.program
        self.platform = None
        self.way = rdma.WAYS[arguments.way]

    def pair_without_guest(self, size_mib, incoming=ANY, **options):
        memory_file = self.workspace.memory_path("source")
        pairs.write_memory(memory_file, size_mib)
        source = pairs.start_godwit(self.workspace, "source", self.program, size_mib, memory_file=memory_file)
        return source, pairs.start_godwit(self.workspace, "destination", self.program, size_mib, incoming=incoming, **options)

    def start_source(self, append=PACED, memory="64M", **options):
        self.platform = accelerators.Platform(self.arguments)
        source = self.platform.start(self.workspace, "source", memory=memory, **self.platform.boots(append), **options)
        guest.wait_ready(source)
        guest.wait_heartbeats(source, 3)
        return source

    def start_destination(self, name="destination", memory="64M", **options):
        """For the source's guest."""
        return self.platform.start(self.workspace, name, memory=memory, **{"incoming": ANY, **options})

    def migrate(self, source, destination):
        rdma.migrate(self.way, source, destination)


def expect_moved(source, destination, timeout_s=60):
    figures = source.qmp.wait_migration("completed", timeout_s=timeout_s)
    destination.qmp.wait_run_state("running")
    assert source.qmp.run_state() == "postmigrate"
    return figures


def expect_guest_moved(source, destination):
    """The guest, whole, at the destination."""
    figures = expect_moved(source, destination)
    guest.expect_ok(destination)
    guest.check_heartbeats(guest.heartbeats(guest.joined_lines(source.serial, destination.serial)))
    return figures


def memory(test):
    """Every page arrives, random, constant, zeros and holes, in memory that was full of other things."""
    old = test.workspace.memory_path("destination")
    pairs.write_memory(old, 192, seed=2)
    source, destination = test.pair_without_guest(192, memory_file=old)
    test.migrate(source, destination)
    figures = expect_moved(source, destination)
    pairs.assert_same_memory(source, destination)
    ram = figures["ram"]
    assert ram["normal"] > 0 and ram["duplicate"] > 0 and ram["remaining"] == 0, ram
    assert ram["normal"] * 4096 <= ram["transferred"] <= 1.05 * ram["normal"] * 4096 + MIB, ram
    return f"{ram['transferred'] / MIB:.0f} MiB in {figures['total-time']} ms"


def holes(test):
    """Nothing is written at all, and so nothing but the connection itself is there to be taken down beside the machine that runs."""
    for number in range(10):
        with Workspace() as workspace:
            source = pairs.start_godwit(workspace, "source", test.program, 32)
            destination = pairs.start_godwit(workspace, "destination", test.program, 32, incoming=ANY)
            test.migrate(source, destination)
            source.qmp.wait_migration("completed")
            wait_for(lambda destination=destination: not rdma.is_connected(destination.process), 10, "the connection's end")
            assert destination.process.is_alive(), f"move {number}: {destination.process.stderr()}"
            destination.qmp.wait_run_state("running")


def former_uri(test):
    """`x-rdma:` on both sides, and no wish for a transport."""
    source, destination = test.pair_without_guest(16, "x-rdma:127.0.0.1:0")
    port = pairs.listening_port(destination)
    pairs.set_capability(source, "x-rdma-pin-all", test.way.pinned)
    source.qmp.command("migrate", {"uri": f"x-rdma:127.0.0.1:{port}"})
    expect_moved(source, destination)
    pairs.assert_same_memory(source, destination)


def ipv6(test):
    source, destination = test.pair_without_guest(16, "rdma:[::1]:0")
    test.way.prepare(source)
    source.qmp.command("migrate", {"uri": test.way.uri(pairs.listening_port(destination), "[::1]")})
    expect_moved(source, destination)
    pairs.assert_same_memory(source, destination)


def disk(test):
    """A disk goes through the stream, the memory beside it."""
    subject = DiskGuest(test.workspace, test.arguments, (24 * MIB,), span_bytes=256 * 1024)
    source = subject.start_source()
    destination = subject.start_destination(incoming=ANY)
    test.way.prepare(source)
    figures = migrate_with_disks(source, destination, rdma.uri(test.way, destination))
    assert figures["disk"]["remaining"] == 0 and figures["disk"]["transferred"] > 0, figures
    subject.wait_writes(destination, 20)
    subject.power_off(destination)
    subject.check_serial()
    return f"{subject.check_images('destination')} durable writes"


def figures_of(test):
    """What query-migrate and `info migrate` tell of registrations: a chunk each, or a block with everything pinned."""
    size_mib = 128
    source, destination = test.pair_without_guest(size_mib)
    chunks = rdma.chunks_with_data(source.memory_file)
    assert 0 < chunks < size_mib, chunks
    test.migrate(source, destination)
    registered = expect_moved(source, destination)["rdma"]
    registrations, size = (1, size_mib * MIB) if test.way.pinned else (chunks, chunks * MIB)
    expected = {"transport": test.way.transport, "registrations": registrations, "registered": size, "pin-all": test.way.pinned}
    assert registered == expected, (registered, chunks)
    there = destination.qmp.migration()["rdma"]
    assert there["registrations"] == registrations and there["pin-all"] == test.way.pinned, there
    text = source.qmp.command("human-monitor-command", {"command-line": "info migrate"})
    assert f"rdma registrations: {registrations}" in text, text
    return f"{registrations} registrations"


def setup_time(test):
    """Pinning is part of the setup: when it ends, all memory is locked on both sides, even what nobody has touched. At the end
    nothing is."""
    size_mib = 512
    source, destination = (pairs.start_godwit(test.workspace, side, test.program, size_mib, **options)
                           for side, options in (("source", {}), ("destination", {"incoming": ANY})))
    pairs.set_capability(source, "pause-before-switchover", True)
    test.migrate(source, destination)
    wait_for(lambda: source.qmp.migration()["status"] not in ("none", "setup"), 60, "the end of the setup", poll_s=0.001)
    for machine in (source, destination):
        locked = rdma.resident_bytes(machine.process, "VmLck")
        assert locked >= size_mib * MIB, f"{machine.name} has locked {locked >> 20} MiB"
    source.qmp.wait_migration("pre-switchover")
    source.qmp.command("migrate-continue", {"state": "pre-switchover"})
    figures = expect_moved(source, destination)
    for machine in (source, destination):
        wait_for(lambda machine=machine: rdma.resident_bytes(machine.process, "VmLck") == 0, 10, f"{machine.name} unlocks its memory")
    assert 0 < figures["setup-time"] <= figures["total-time"], figures
    return f"{figures['setup-time']} ms for {size_mib} MiB"


def registrations(test):
    """Once the bulk pass has sent everything, nothing is registered any more, as long as the working set stays the same."""
    source = test.start_source()
    destination = test.start_destination()
    # Twice as fast as the guest writes, and it may not be stopped.
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": 40 * MIB, "downtime-limit": 0})
    test.migrate(source, destination)
    begin = wait_for(lambda: later_pass(source, 2), 60, "the second pass")
    wait_for(lambda: later_pass(source, 6), 60, "four passes more")
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": 0, "downtime-limit": 300})
    end = expect_guest_moved(source, destination)
    assert begin["rdma"] == end["rdma"], (begin["rdma"], end["rdma"])
    count = end["rdma"]["registrations"]
    # Pinned: RAM and firmware, each as a whole.
    assert count == 2 if test.way.pinned else 48 <= count <= 64, end["rdma"]
    return f"{count} registrations in {end['x-godwit-passes']} passes"


def later_pass(source, least):
    figures = source.qmp.migration()
    return figures if figures.get("x-godwit-passes", 0) >= least else None


CASES = {case.__name__: case for case in (memory, holes, former_uri, ipv6, disk, setup_time, registrations)}
CASES["figures"] = figures_of


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    accelerators.add_arguments(parser)
    parser.add_argument("--fill-memory", help="not used here")
    parser.add_argument("--case", required=True, choices=list(CASES))
    parser.add_argument("--way", default="shm", choices=list(rdma.WAYS))
    arguments = parser.parse_args()
    with Workspace() as workspace:
        print(f"{arguments.case} over {arguments.way}: {CASES[arguments.case](Test(workspace, arguments)) or 'done'}", flush=True)


main()
