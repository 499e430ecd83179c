"""A peer that reads nothing: the machine answers at once all the same, its guest goes on, a cancel takes effect, and the deadlines end it."""

import argparse
import pathlib
import signal
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import accelerators, guest, pairs  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.processes import Workspace, is_stopped  # noqa: E402
from support.relay import Relay  # noqa: E402

ANSWER_LIMIT_S = 0.05
CANCEL_LIMIT_S = 0.5
HEARTBEAT_S = 0.02
APPEND = "working-set=48M rate=20000 pattern=small heartbeat-ms=20 fill=words"
PROBES = 40


def probe_answers(machine):
    """The slowest of many answers."""
    slowest = 0.0
    for _ in range(PROBES):
        for command in ("query-status", "query-migrate"):
            begin = time.monotonic()
            machine.qmp.command(command)
            slowest = max(slowest, time.monotonic() - begin)
    assert slowest < ANSWER_LIMIT_S, f"an answer took {slowest * 1000:.1f} ms"
    return slowest


def probe_guest(source):
    """The longest silence of the guest while the peer is stalled: every heartbeat is many exits of the vCPU."""
    begin = source.serial.count()
    beats = guest.wait_heartbeats(source, 20, begin=begin)
    gap = guest.largest_gap_s(beats)
    assert gap < HEARTBEAT_S + ANSWER_LIMIT_S, f"the guest was silent for {gap * 1000:.1f} ms"
    return gap


def cancel(source):
    begin = time.monotonic()
    source.qmp.command("migrate_cancel")
    source.qmp.wait_migration("cancelled", timeout_s=5)
    took = time.monotonic() - begin
    assert took < CANCEL_LIMIT_S, f"the cancel took {took * 1000:.0f} ms"
    assert source.qmp.run_state() == "running", source.qmp.run_state()
    return took


def start_source(workspace, platform):
    source = platform.start(workspace, "source", memory="64M", **platform.boots(APPEND))
    guest.wait_ready(source)
    guest.wait_heartbeats(source, 3)
    return source


def start_destination(workspace, platform, name="destination", **options):
    return platform.start(workspace, name, memory="64M", incoming="tcp:127.0.0.1:0", **options)


def live_case(workspace, platform, stall_when):
    source = start_source(workspace, platform)
    destination = start_destination(workspace, platform)
    with Relay("127.0.0.1", pairs.listening_port(destination)) as relay:
        if stall_when == "passes":
            # A link slower than the guest writes, and no accepted downtime: it never converges.
            source.qmp.command("migrate-set-parameters", {"max-bandwidth": 40 << 20, "downtime-limit": 0})
        else:
            relay.stall_after = 8 << 20
        source.qmp.command("migrate", {"uri": f"tcp:127.0.0.1:{relay.port}"})
        if stall_when == "passes":
            wait_for(lambda: source.qmp.migration().get("ram", {}).get("dirty-sync-count", 0) >= 2, 30, "two passes")
            relay.stall()
        wait_for(lambda: relay.forward.stalled, 30, "the relay stalls")
        slowest = probe_answers(source)
        gap = probe_guest(source)
        took = cancel(source)
    assert destination.process.wait_exit() == 1
    guest.expect_ok(source)
    return slowest, gap, took


def switchover_case(workspace, platform, end):
    """The destination stops before it answers that it has loaded: the source's guest is stopped meanwhile."""
    source = start_source(workspace, platform)
    destination = start_destination(workspace, platform, extra=("--test-stop-at", "destination-received"))
    source.qmp.command("migrate", {"uri": pairs.listening_uri(destination)})
    source.qmp.wait_run_state("finish-migrate")
    wait_for(lambda: is_stopped(destination.process), 10, "the destination stops")
    slowest = probe_answers(source)
    if end == "cancel":
        took = cancel(source)
    else:
        failed = source.qmp.wait_migration("failed", timeout_s=20)
        assert failed["x-godwit-error-code"] == "switchover-timeout", failed
        source.qmp.wait_run_state("running")
        took = failed["total-time"] / 1000
    # The destination goes on, has the whole machine, and finds nobody to take it over from: it must not run it.
    destination.process.signal(signal.SIGCONT)
    figures = destination.qmp.wait_migration("failed")
    assert figures["x-godwit-error-code"] == "handover-unknown", figures
    assert destination.qmp.run_state() == "paused", destination.qmp.run_state()
    guest.expect_ok(source)
    # And it can still be moved.
    second = start_destination(workspace, platform, "second")
    source.qmp.command("migrate", {"uri": pairs.listening_uri(second)})
    source.qmp.wait_migration("completed")
    guest.expect_ok(second)
    return slowest, 0.0, took


def setup_case(workspace, platform):
    """Somebody listens, but says nothing."""
    source = start_source(workspace, platform)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"tcp:127.0.0.1:{silent.getsockname()[1]}"
        source.qmp.command("migrate", {"uri": uri})
        source.qmp.wait_migration("setup")
        slowest = probe_answers(source)
        gap = probe_guest(source)
        took = cancel(source)
        source.qmp.command("migrate", {"uri": uri})
        failed = source.qmp.wait_migration("failed", timeout_s=20)
        assert failed["x-godwit-error-code"] == "handshake-timeout", failed
    guest.expect_ok(source)
    return slowest, gap, took


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    accelerators.add_arguments(parser)
    arguments = parser.parse_args()
    cases = {"setup": setup_case, "bulk": lambda w, p: live_case(w, p, "bulk"),
             "between passes": lambda w, p: live_case(w, p, "passes"),
             "switchover, cancel": lambda w, p: switchover_case(w, p, "cancel"),
             "switchover, deadline": lambda w, p: switchover_case(w, p, "deadline")}
    for name, case in cases.items():
        with Workspace() as workspace:
            slowest, gap, took = case(workspace, accelerators.Platform(arguments))
            print(f"{name}: slowest answer {slowest * 1000:.1f} ms, guest silent {gap * 1000:.1f} ms, end after {took * 1000:.0f} ms",
                  flush=True)


main()
