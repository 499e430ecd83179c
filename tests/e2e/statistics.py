"""The figures of query-migrate against known truths, and when they are there."""

import contextlib
import pathlib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
import moving  # noqa: E402
from support import guest, pairs  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.processes import Workspace  # noqa: E402
from support.relay import Relay  # noqa: E402

MIB = 1 << 20
ATTEMPTS = 4


def has_moved(source):
    return source.qmp.migration()["status"] == "completed"


def dirty_pages_rate(arguments):
    # On a busy host the guest may not have run in a whole pass: then nothing is left to be sent, and it moves.
    for attempt in range(ATTEMPTS):
        if measure_dirty_pages_rate(arguments):
            return
        print(f"attempt {attempt + 1}: the guest has moved before it was measured", flush=True)
    raise AssertionError("the guest has always moved before it was measured")


def measure_dirty_pages_rate(arguments):
    """A guest that counts its writes. The link's delay lets some pages be written in each pass, so with a downtime limit of 0 it
    stays at the source, while nearly all of its memory is clean: there each write makes a page dirty. Returns false if it has not stayed."""
    with contextlib.ExitStack() as stack:
        workspace = stack.enter_context(Workspace())
        setup = moving.Setup(workspace, arguments)
        # An emulated guest may wait in one piece for longer than a short pass of KVM's: longer passes, and fewer pages in them.
        rate, delay_s = (3000, 0.01) if setup.platform.is_emulated() else (8000, 0.004)
        setup.append = f"working-set=32M rate={rate} pattern=small heartbeat-ms=20"
        source = setup.start_source()
        destination = setup.start("destination", incoming="tcp:127.0.0.1:0")
        relay = stack.enter_context(Relay("127.0.0.1", pairs.listening_port(destination), delay_s=delay_s))
        source.qmp.command("migrate-set-parameters", {"downtime-limit": 0})
        source.qmp.command("migrate", {"uri": f"tcp:127.0.0.1:{relay.port}"})
        wait_for(lambda: has_moved(source) or source.qmp.migration().get("x-godwit-passes", 0) >= 20, 60, "short passes")
        ratios = []
        for _ in range(6):
            before, at = guest.heartbeats(source.serial.lines())[-1], time.monotonic()
            wait_for(lambda at=at: time.monotonic() - at >= 1.2, 10, "a second of writing")
            said = source.qmp.migration()["ram"]["dirty-pages-rate"]
            after = guest.heartbeats(source.serial.lines())[-1]
            if has_moved(source):
                return False
            seconds = (after.counter - before.counter) * 0.02
            truth = (after.pages - before.pages) / seconds
            ratios.append(said / truth)
        ratios.sort()
        middle = (ratios[2] + ratios[3]) / 2
        print(f"dirty-pages-rate: {middle:.3f} of the truth, {ratios[0]:.3f} to {ratios[-1]:.3f}")
        assert 0.85 <= middle <= 1.15, ratios
        source.qmp.command("migrate_cancel")
        figures = source.qmp.wait_migration("cancelled")
        assert figures["ram"]["dirty-pages-rate"] > 0 and figures["total-time"] > 0, "the last figures are kept"
        assert "setup-time" in figures and "downtime" not in figures, figures
        guest.expect_ok(source)
        return True


def throughput(arguments):
    """A link of known bandwidth."""
    with Workspace() as workspace:
        memory = workspace.memory_path("source")
        pathlib.Path(memory).write_bytes(pathlib.Path("/dev/urandom").open("rb").read(128 * MIB))
        source = pairs.start_godwit(workspace, "source", arguments.program, 128, memory_file=memory)
        destination = pairs.start_godwit(workspace, "destination", arguments.program, 128, incoming="tcp:127.0.0.1:0")
        with Relay("127.0.0.1", pairs.listening_port(destination), bytes_per_s=20e6) as relay:
            source.qmp.command("migrate", {"uri": f"tcp:127.0.0.1:{relay.port}"})
            # What the sockets hold has gone by then.
            wait_for(lambda: source.qmp.migration()["ram"].get("transferred", 0) > 50 * MIB, 30, "the first 50 MiB")
            figures = source.qmp.migration()
            print(f"mbps: {figures['ram']['mbps']:.1f} of 160")
            assert 144 <= figures["ram"]["mbps"] <= 176, figures
            expected_ms = figures["ram"]["remaining"] / 20e6 * 1000
            print(f"expected-downtime: {figures['expected-downtime']} ms of {expected_ms:.0f}")
            assert 0.85 * expected_ms <= figures["expected-downtime"] <= 1.15 * expected_ms + 10, figures
            relay.stall()
            # Normal are 160 and 4900.
            stalled = wait_for(lambda: next((f for f in [source.qmp.migration()]
                                             if f["ram"]["mbps"] < 16 and f["ram"]["pages-per-second"] < 490), None),
                               20, "the rates of a link that takes nothing")
            assert stalled["status"] == "active" and stalled["expected-downtime"] > 0, stalled
            relay.resume()
            done = source.qmp.wait_migration("completed")
            print(f"over the whole time: {done['ram']['mbps']:.1f} mbps")
            assert done["ram"]["transferred"] == done["ram"]["precopy-bytes"] + done["ram"]["downtime-bytes"], done


def downtime(arguments):
    """Both sides are on one clock: from the stop at the source to the start at the destination."""
    for _ in range(3):
        with Workspace() as workspace:
            setup = moving.Setup(workspace, arguments)
            source = setup.start_source()
            destination = setup.start("destination", incoming="tcp:127.0.0.1:0")
            source.qmp.command("migrate", {"uri": pairs.listening_uri(destination)})
            figures = source.qmp.wait_migration("completed")
            arrived = destination.qmp.wait_migration("completed")
            real_ms = (arrived["x-godwit-running-at-ns"] - figures["x-godwit-stopped-at-ns"]) / 1e6
            said_ms = figures["x-godwit-downtime-ns"] / 1e6
            predicted_ms = figures["x-godwit-predicted-downtime-ns"] / 1e6
            print(f"downtime: said {said_ms:.2f} ms, real {real_ms:.2f} ms, predicted {predicted_ms:.2f} ms")
            assert abs(said_ms - real_ms) <= 5, (said_ms, real_ms)
            assert figures["convergence"]["verdict"] in ("unknown", "converging"), figures
            guest.expect_ok(destination)


def setup_and_failure(arguments):
    """A peer that takes the connection and says nothing holds the migration in SETUP."""
    with Workspace() as workspace, socket.create_server(("127.0.0.1", 0)) as silent:
        source = pairs.start_godwit(workspace, "source", arguments.program, 16)
        assert source.qmp.migration() == {}, source.qmp.migration()
        source.qmp.command("migrate-set-parameters", {"handshake-timeout": 600})
        source.qmp.command("migrate", {"uri": f"tcp:127.0.0.1:{silent.getsockname()[1]}"})
        figures = source.qmp.migration()
        assert figures["status"] == "setup", figures
        assert "setup-time" not in figures and figures["ram"]["total"] == 16 * MIB, figures
        failed = source.qmp.wait_migration("failed")
        assert failed["error-desc"] and failed["ram"]["total"] == 16 * MIB and failed["total-time"] >= 600, failed
        print(f"setup was seen, and after {failed['total-time']} ms: {failed['error-desc']}")


def main():
    parser = moving.argument_parser()
    cases = {case.__name__: case for case in (setup_and_failure, throughput, downtime, dirty_pages_rate)}
    parser.add_argument("--case", choices=list(cases), help="only this one")
    arguments = parser.parse_args()
    for name, case in cases.items():
        if arguments.case in (None, name):
            case(arguments)


main()
