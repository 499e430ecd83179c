#!/usr/bin/env python3
"""Which migrations of a busy guest come to an end: godwit and QEMU side by side, with the same guest, limits and capabilities.

The guest has 150 MiB and rewrites 100 MiB of them as fast as it can. Each row is a set of settings; both peers take turns in it. A migration
that has not ended after its time is cancelled, and the guest has to go on. See README.md here."""

import argparse
import json
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

# pylint: disable=wrong-import-position
from support import guest, machines, processes  # noqa: E402
from support.deadlines import wait_for  # noqa: E402

MIB = 1 << 20
MEMORY = "150M"
GUEST = "working-set=100M pattern=small rate=0"
SCENARIOS = {
    "128 MiB/s, 300 ms": {"bandwidth": 128, "downtime": 300},
    "no limit, 300 ms": {"bandwidth": 0, "downtime": 300},
    "no limit, 20 ms": {"bandwidth": 0, "downtime": 20},
    "128 MiB/s, 300 ms, auto-converge": {"bandwidth": 128, "downtime": 300, "capabilities": ["auto-converge"]},
    "32 MiB/s, 30 ms, auto-converge": {"bandwidth": 32, "downtime": 30, "capabilities": ["auto-converge"]},
    "128 MiB/s, 300 ms, xbzrle": {"bandwidth": 128, "downtime": 300, "capabilities": ["xbzrle"],
                                  "parameters": {"xbzrle-cache-size": 128 * MIB}},
}


def start(workspace, peer, name, options, **more):
    if peer == "godwit":
        return machines.start_godwit(workspace, name, options.godwit, memory=MEMORY, **more)
    return machines.start_qemu(workspace, name, memory=MEMORY, accel=options.accel, **more)


def configure(machine, scenario):
    capabilities = [{"capability": name, "state": True} for name in ["events", *scenario.get("capabilities", [])]]
    machine.qmp.command("migrate-set-capabilities", {"capabilities": capabilities})
    machine.qmp.command("migrate-set-parameters", {"max-bandwidth": scenario["bandwidth"] * MIB, "downtime-limit": scenario["downtime"],
                                                   **scenario.get("parameters", {})})


def downtime_ms(source, destination):
    """From the source's STOP to the destination's RESUME, as one observer sees both."""
    stop = source.qmp.wait_event("STOP", timeout_s=10)
    resume = destination.qmp.wait_event("RESUME", timeout_s=10)
    return (resume.time_s - stop.time_s) * 1000


def run(peer, scenario, options):
    """One migration; what came of it."""
    with processes.Workspace() as workspace:
        source = start(workspace, peer, "source", options, kernel=options.guest, append=GUEST)
        destination = start(workspace, peer, "destination", options, incoming="defer")
        configure(source, scenario)
        guest.wait_ready(source)
        guest.wait_heartbeats(source, 5)
        uri = f"unix:{workspace.path('migration')}"
        destination.qmp.command("migrate-incoming", {"uri": uri})
        begin = time.monotonic()
        highest_throttle = 0
        source.qmp.command("migrate", {"uri": uri})
        while True:
            figures = source.qmp.migration()
            highest_throttle = max(highest_throttle, figures.get("cpu-throttle-percentage", 0))
            if figures["status"] in ("completed", "failed", "cancelled") or time.monotonic() - begin > options.patience:
                break
            time.sleep(0.05)
        outcome = {"total_s": time.monotonic() - begin, "converged": figures["status"] == "completed", "throttle": highest_throttle,
                   "sent_mib": figures.get("ram", {}).get("transferred", 0) / MIB, "syncs": figures.get("ram", {}).get("dirty-sync-count", 0)}
        if outcome["converged"]:
            outcome["downtime_ms"] = downtime_ms(source, destination)
            outcome["said_ms"] = figures["downtime"]
            survivor = destination
        else:
            if figures["status"] == "failed":
                raise SystemExit(f"{peer}: {figures}")
            outcome["advice"] = figures.get("convergence", {}).get("advice", "")
            source.qmp.command("migrate_cancel")
            source.qmp.wait_migration("cancelled")
            survivor = source
        wait_for(lambda: survivor.qmp.run_state() == "running", 10, "the guest to run")
        guest.expect_ok(survivor)
        return outcome


def describe(outcomes):
    done = [o for o in outcomes if o["converged"]]
    sent = statistics.median(o["sent_mib"] for o in outcomes)
    throttle = max(o["throttle"] for o in outcomes)
    tail = f"{sent:7.0f} MiB, {statistics.median(o['syncs'] for o in outcomes):5.0f} syncs" + (f", throttled {throttle} %" if throttle else "")
    if not done:
        return f"did not end in {outcomes[0]['total_s']:.0f} s, {tail}"
    total = statistics.median(o["total_s"] for o in done)
    downtime = statistics.median(o["downtime_ms"] for o in done)
    missed = f" ({len(done)} of {len(outcomes)})" if len(done) < len(outcomes) else ""
    return f"{total:6.2f} s{missed}, downtime {downtime:6.1f} ms, {tail}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    build = ROOT / "build" / "release"
    parser.add_argument("--godwit", default=build / "bin" / "godwit")
    parser.add_argument("--guest", default=build / "guests" / "workload")
    parser.add_argument("--accel", default="kvm", choices=["kvm", "tcg"], help="QEMU's accelerator; godwit has KVM")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--patience", type=float, default=40, help="seconds until a migration is given up")
    parser.add_argument("--only", help="rows whose name contains this")
    parser.add_argument("--peers", default="godwit,qemu")
    parser.add_argument("--json", help="writes all outcomes there")
    options = parser.parse_args()
    machines.need_kvm()
    results = {}
    for name, scenario in SCENARIOS.items():
        if options.only and options.only not in name:
            continue
        rows = {peer: [] for peer in options.peers.split(",")}
        for _ in range(options.rounds):
            for peer, outcomes in rows.items():
                outcomes.append(run(peer, scenario, options))
        results[name] = rows
        print(name)
        for peer, outcomes in rows.items():
            print(f"    {peer:7} {describe(outcomes)}", flush=True)
            if advice := next((o["advice"] for o in outcomes if o.get("advice")), None):
                print(f"            {advice}", flush=True)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1))


main()
