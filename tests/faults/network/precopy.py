"""The network fails, or one side is stopped, while memory is being sent and the guest runs: a short failure is survived, a longer
one ends both sides within the deadline, with the guest at the source, and once the network is back it moves."""

import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
import scene  # noqa: E402
from support.network import SIDES, Network, hold, other  # noqa: E402

# After an outage tcp waits for up to twice its length before it tries again.
SHORT_S = 1.0
PATIENT_MS = 8000


def short(here, side, fault, remedy):
    """The migration goes on when the fault is over. `fault` and `remedy`: of the network, with the side."""
    here.start().set_deadlines(idle_ms=PATIENT_MS)
    here.migrate_lasting()
    fault(here.network, side)
    hold(SHORT_S)
    remedy(here.network, side)
    assert here.source.qmp.migration()["status"] == "active", here.source.qmp.migration()
    sent = here.source.qmp.migration()["ram"]["transferred"]
    scene.wait_for(lambda: here.source.qmp.migration()["ram"]["transferred"] > sent + 8 * scene.MIB, PATIENT_MS / 1000, "it goes on")
    here.let_it_end()
    return f"it completed, downtime {here.expect_moved()['downtime']} ms"


def lasting(here, sides, fault, remedy, *codes):
    """Both sides end, and the guest moves later."""
    here.start().set_deadlines()
    here.migrate_lasting()
    for side in sides:
        fault(here.network, side)
    code, took_s = here.expect_kept(*codes)
    for side in sides if remedy else ():
        remedy(here.network, side)
    here.expect_moves_again()
    return f"both ended within {took_s:.1f} s ({code}), then it moved"


def link_down_shortly_at_the_source(here):
    return short(here, "source", Network.link_down, Network.link_up)


def link_down_shortly_at_the_destination(here):
    return short(here, "destination", Network.link_down, Network.link_up)


def unplugged_shortly(here):
    return short(here, "source", Network.unplug, Network.plug_in)


def link_down_at_the_source(here):
    return lasting(here, ["source"], Network.link_down, Network.link_up, "idle-timeout")


def link_down_at_the_destination(here):
    return lasting(here, ["destination"], Network.link_down, Network.link_up, "idle-timeout")


def unplugged(here):
    return lasting(here, SIDES, Network.unplug, Network.plug_in, "idle-timeout")


def address_removed(here):
    return lasting(here, ["destination"], Network.remove_address, Network.restore_address, "idle-timeout")


def nothing_reaches_the_destination(here):
    return lasting(here, ["destination"], Network.swallow, Network.stop_swallowing, "idle-timeout")


def nothing_reaches_the_source(here):
    return lasting(here, ["source"], Network.swallow, Network.stop_swallowing, "idle-timeout")


def reset_by_the_source(here):
    return lasting(here, ["source"], Network.reset_connections, None, "peer-closed", "io")


def reset_by_the_destination(here):
    return lasting(here, ["destination"], Network.reset_connections, None, "peer-closed", "io")


def signal_to(here, number):
    """As a fault or a remedy."""
    return lambda _, side: here.side(side).process.signal(number)


def source_stopped_shortly(here):
    return short(here, "source", signal_to(here, signal.SIGSTOP), signal_to(here, signal.SIGCONT))


def destination_stopped_shortly(here):
    return short(here, "destination", signal_to(here, signal.SIGSTOP), signal_to(here, signal.SIGCONT))


def stopped(here, side):
    """By SIGSTOP, until the other one has given up: its kernel takes part as ever, but it does not."""
    here.start().set_deadlines()
    here.migrate_lasting()
    victim, witness = here.side(side), here.side(other(side))
    since = time.monotonic()
    victim.process.signal(signal.SIGSTOP)
    scene.wait_for(lambda: scene.end_of(witness), here.limit_s(), f"the end at the {other(side)}")
    took_s = time.monotonic() - since
    victim.process.signal(signal.SIGCONT)
    code, _ = here.expect_kept("idle-timeout", "peer-closed")
    here.expect_moves_again()
    return f"noticed after {took_s:.1f} s, the source says {code}, then it moved"


def source_stopped(here):
    return stopped(here, "source")


def destination_stopped(here):
    return stopped(here, "destination")


def not_reached(here):
    """Before the connection stands: the guest has not been touched, and the destination goes on waiting."""
    here.start()
    here.source.qmp.command("migrate-set-parameters", {"connect-timeout": scene.IDLE_MS})
    network = here.network
    for fault, remedy, code in ((network.swallow, network.stop_swallowing, "connect-timeout"),
                                (network.unplug, network.plug_in, "connect")):
        fault("destination")
        here.migrate()
        end = scene.wait_for(lambda: scene.end_of(here.source), scene.IDLE_MS / 1000 + scene.SLACK_S, "the end at the source")
        assert end == scene.End("running", "failed", code), end
        remedy("destination")
    here.migrate()
    return f"connect-timeout, connect, then it moved to the same destination, downtime {here.expect_moved()['downtime']} ms"


scene.run_cases(link_down_shortly_at_the_source, link_down_shortly_at_the_destination, unplugged_shortly, link_down_at_the_source,
                link_down_at_the_destination, unplugged, address_removed, nothing_reaches_the_destination, nothing_reaches_the_source,
                reset_by_the_source, reset_by_the_destination, source_stopped_shortly, destination_stopped_shortly, source_stopped,
                destination_stopped, not_reached)
