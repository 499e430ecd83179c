"""Narrow links, made with tbf, and links whose packets are small: the figures are true, the downtime is within its limit, and a guest that
writes less than the link carries converges."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
import scene  # noqa: E402
from scene import MIB, guest, wait_for  # noqa: E402
from support.network import SIDES, address6  # noqa: E402

# It writes 1.2 MB each second.
APPEND = "working-set=12M rate=300 pattern=random heartbeat-ms=20 fill=words"
MBPS = 50
LIMIT_MS = 300
# What a busy host adds to the guest's stop, and the packets that stand in the link's queue.
SLACK_MS = 100


def narrow(here, burst_bytes, queue_bytes):
    here.start()
    here.network.shape("destination", f"{MBPS}mbit", burst_bytes, queue_bytes)
    before = here.network.sent_bytes("destination")
    # No end before it has been looked at.
    here.migrate({"downtime-limit": 0, "max-bandwidth": 0})
    wait_for(lambda: here.source.qmp.migration().get("x-godwit-passes", 0) >= 2, 60, "the second pass")
    expected_ms = here.source.qmp.migration()["expected-downtime"]
    here.let_it_end()
    done = here.source.qmp.wait_migration("completed", timeout_s=60)
    # With the heads of packets: a twentieth.
    carried_mbps = (here.network.sent_bytes("destination") - before) * 8e-3 / (done["total-time"] - done["setup-time"])
    here.expect_moved()
    said_ms, predicted_ms = done["downtime"], done["x-godwit-predicted-downtime-ns"] / 1e6
    real_ms = (here.destination.qmp.migration()["x-godwit-running-at-ns"] - done["x-godwit-stopped-at-ns"]) / 1e6
    mbps = done["ram"]["mbps"]
    assert 0.85 * carried_mbps <= mbps <= 1.02 * carried_mbps, f"{mbps:.1f} Mbit/s, the link has carried {carried_mbps:.1f}"
    assert carried_mbps <= 1.05 * MBPS, carried_mbps
    # The source learns of the end by a message.
    assert real_ms - 1 <= said_ms <= real_ms + SLACK_MS and real_ms <= LIMIT_MS + SLACK_MS, (said_ms, real_ms)
    assert predicted_ms <= LIMIT_MS, predicted_ms
    return (f"{mbps:.1f} Mbit/s of {carried_mbps:.1f}, expected {expected_ms} ms after the first pass, downtime {said_ms} ms "
            f"(real {real_ms:.0f}, predicted {predicted_ms:.0f}), {done['x-godwit-passes']} passes, {done['total-time'] / 1000:.1f} s")


def narrow_link(here):
    return narrow(here, 32 << 10, 256 << 10)


def narrow_link_with_a_short_queue(here):
    """Most of what tcp sends at once is dropped."""
    return narrow(here, 5 << 10, 10 << 10)


def narrow_link_with_a_long_queue(here):
    """More stands in it than may be sent while the guest is stopped."""
    return narrow(here, 32 << 10, 8 << 20)


def too_narrow(here):
    """The guest writes more: it does not converge, says so, and goes on at the source until the link is wider."""
    here.append = "working-set=12M rate=0 pattern=small heartbeat-ms=20 fill=words"
    here.start()
    here.network.shape("destination", "40mbit", 32 << 10, 256 << 10)
    here.migrate()
    wait_for(lambda: here.source.qmp.migration().get("convergence", {}).get("verdict") == "stalled", 60,
             lambda: f"the verdict: {here.source.qmp.migration()}")
    said = here.source.qmp.migration()
    assert said["status"] == "active" and said["convergence"]["advice"], said
    assert said["expected-downtime"] > LIMIT_MS, said
    guest.wait_heartbeats(here.source, 3, begin=here.source.serial.count())
    here.network.shape("destination", "400mbit", 256 << 10, 1 << 20)
    done = here.expect_moved(60)
    assert done["downtime"] <= LIMIT_MS + SLACK_MS, done
    return f"stalled, expected {said['expected-downtime']} ms; on a wider link downtime {done['downtime']} ms"


def small_packets(here, mtu_bytes, both_ends):
    here.start()
    for side in SIDES:
        here.network.set_mtu(side, mtu_bytes, both_ends)
    here.migrate()
    done = here.expect_moved(60)
    return f"{done['ram']['mbps']:.0f} Mbit/s, downtime {done['downtime']} ms"


def mtu_576(here):
    return small_packets(here, 576, True)


def mtu_1280_in_the_middle(here):
    """The hosts have to find out."""
    said = small_packets(here, 1280, False)
    assert here.network.learned_mtu_bytes("source") == 1280, here.network.learned_mtu_bytes("source")
    return said


def ipv6(here):
    here.host = address6("destination")
    here.start().migrate()
    done = here.expect_moved()
    assert done["ram"]["transferred"] > MIB, done
    return f"{done['ram']['mbps']:.0f} Mbit/s, downtime {done['downtime']} ms"


scene.run_cases(narrow_link, narrow_link_with_a_short_queue, narrow_link_with_a_long_queue, too_narrow, mtu_576, mtu_1280_in_the_middle,
                ipv6, append=APPEND)
