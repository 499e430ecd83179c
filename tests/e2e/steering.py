"""What an operator does with a running migration, whatever it goes over: limits it, holds it, cancels it. The guest is whole afterwards."""

import time

import moving
from support import guest, pairs, rdma
from support.deadlines import wait_for

MIB = 1 << 20
# Writes 20 MB each second.
PACED = "working-set=48M rate=5000 pattern=small heartbeat-ms=20 fill=words"


def start(workspace, arguments, append=PACED, memory_mib=64):
    setup = moving.Setup(workspace, arguments)
    setup.append = append
    setup.memory_mib = memory_mib
    return setup, setup.start_source()


def begin(setup, source, name="destination"):
    """The migration has been started. Returns the destination."""
    destination, uri = moving.TRANSPORTS[setup.arguments.transport](setup, source, name)
    source.qmp.command("migrate", {"uri": uri})
    return destination


def expect_guest_moved(source, destination):
    """The guest, whole, at the destination."""
    figures = source.qmp.wait_migration("completed", timeout_s=60)
    destination.qmp.wait_run_state("running")
    assert source.qmp.run_state() == "postmigrate"
    guest.expect_ok(destination)
    guest.check_heartbeats(guest.heartbeats(guest.joined_lines(source.serial, destination.serial)))
    return figures


def bandwidth(workspace, arguments):
    """`max-bandwidth` holds, also for what goes past the stream."""
    limit = 32 * MIB
    setup, source = start(workspace, arguments, "working-set=48M rate=200 pattern=small heartbeat-ms=20 fill=words")
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": limit})
    figures = expect_guest_moved(source, begin(setup, source))
    rate = figures["ram"]["transferred"] / (figures["total-time"] - figures["setup-time"]) * 1000
    assert 0.7 * limit <= rate <= 1.1 * limit, f"{rate / MIB:.1f} MiB/s with a limit of {limit / MIB:.0f}: {figures}"
    return f"{rate / MIB:.1f} of {limit / MIB:.0f} MiB/s"


def xbzrle(workspace, arguments):
    """Pages of which little has changed travel as differences; over RDMA it is of no use, and said so."""
    setup, source = start(workspace, arguments, "working-set=16M rate=0 pattern=small heartbeat-ms=20 fill=words")
    pairs.set_capability(source, "xbzrle", True)
    if arguments.transport.startswith("rdma"):
        figures = expect_guest_moved(source, begin(setup, source))
        source.process.wait_stderr("xbzrle is of no use here")
        assert figures.get("xbzrle-cache", {}).get("pages", 0) == 0, figures
        return None
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": 16 * MIB, "downtime-limit": 0})
    destination = begin(setup, source)
    wait_for(lambda: source.qmp.migration().get("xbzrle-cache", {}).get("pages", 0) > 1000, 60, "differences")
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": 0, "downtime-limit": 300})
    cache = expect_guest_moved(source, destination)["xbzrle-cache"]
    assert 0 < cache["bytes"] < cache["pages"] * moving.PAGE_BYTES / 2, cache
    return f"{cache['pages']} pages as {cache['bytes'] / MIB:.1f} MiB"


def pause_before_switchover(workspace, arguments):
    setup, source = start(workspace, arguments)
    pairs.set_capability(source, "pause-before-switchover", True)
    destination = begin(setup, source)
    source.qmp.wait_migration("pre-switchover")
    # Longer than a peer may be silent: the heartbeats go on.
    until = time.monotonic() + 5
    wait_for(lambda: source.qmp.migration()["status"] != "pre-switchover" or time.monotonic() > until, 10, "5 s at the switchover")
    source.qmp.command("migrate-continue", {"state": "pre-switchover"})
    return f"downtime {expect_guest_moved(source, destination)['downtime']} ms"


# When to cancel: what is set before, and the condition.


def in_first_pass(source):
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": 16 * MIB})
    return lambda figures: figures["status"] == "active" and 4 * MIB < figures["ram"]["transferred"] and figures["x-godwit-passes"] <= 1


def in_later_pass(source):
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": 40 * MIB, "downtime-limit": 0})
    return lambda figures: figures["status"] == "active" and figures["x-godwit-passes"] >= 3


def before_switchover(source):
    pairs.set_capability(source, "pause-before-switchover", True)
    return lambda figures: figures["status"] == "pre-switchover"


def cancel(_, arguments):
    for phase in (in_first_pass, in_later_pass, before_switchover):
        with moving.Workspace() as workspace:
            setup, source = start(workspace, arguments)
            reached = phase(source)
            destination = begin(setup, source)
            wait_for(lambda reached=reached, source=source: reached(source.qmp.migration()), 60, phase.__name__)
            print(f"{phase.__name__}: {cancelled(setup, source, destination)}", flush=True)


def cancel_while_pinning(workspace, arguments):
    """In the setup, while both sides bring a gigabyte into RAM."""
    setup, source = start(workspace, arguments, memory_mib=1024)
    destination = begin(setup, source)
    wait_for(lambda: rdma.resident_bytes(destination.process, "VmLck") > 0, 30, "the destination pins", poll_s=0.001)
    assert source.qmp.migration()["status"] == "setup"
    return cancelled(setup, source, destination)


def cancelled(setup, source, destination):
    """The guest goes on, and moves to another destination afterwards. Returns how long the cancel took."""
    since = time.monotonic()
    source.qmp.command("migrate_cancel")
    source.qmp.wait_migration("cancelled")
    took_s = time.monotonic() - since
    assert source.qmp.run_state() == "running"
    beats = guest.wait_heartbeats(source, 5, begin=source.serial.count())
    assert guest.largest_gap_s(beats) < 1, beats
    assert destination.process.wait_exit() == 1, destination.process.exit_status()
    said = destination.process.stderr()
    assert "incoming migration" in said and "assertion" not in said, said
    wait_for(lambda: rdma.resident_bytes(source.process, "VmLck") == 0, 10, "the source unlocks its memory")
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": 0, "downtime-limit": 300})
    pairs.set_capability(source, "pause-before-switchover", False)
    expect_guest_moved(source, begin(setup, source, "following"))
    return f"cancelled within {took_s * 1000:.0f} ms"


CASES = {case.__name__: case for case in (bandwidth, xbzrle, pause_before_switchover, cancel, cancel_while_pinning)}


def main():
    parser = moving.argument_parser()
    parser.add_argument("--case", required=True, choices=list(CASES))
    parser.add_argument("--transport", default="tcp", choices=list(moving.TRANSPORTS))
    arguments = parser.parse_args()
    with moving.Workspace() as workspace:
        print(f"{arguments.case} over {arguments.transport}: {CASES[arguments.case](workspace, arguments) or 'done'}", flush=True)


main()
