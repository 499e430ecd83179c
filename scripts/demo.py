#!/usr/bin/env python3
"""Moves a running guest live from one godwit process to another and reports how it went.

The guest keeps changing its memory, knows at every moment what each page has to hold, and says so when asked after the move.
"""

import argparse
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))
from support import guest, machines, processes  # noqa: E402
from support.deadlines import DeadlineExpired, wait_for  # noqa: E402
from support.qmp import QmpError  # noqa: E402

HEARTBEATS = 20


def start(workspace, options, side, **more):
    return machines.start_godwit(workspace, side, options.godwit, memory=options.memory, cpus=options.cpus, **more)


def listening_port(machine):
    """The port that the system chose for the destination."""
    addresses = wait_for(lambda: machine.qmp.migration().get("socket-address"), 10, "the destination's address")
    return addresses[0]["port"]


def migrate(options, source, uri):
    """Runs `godwit migrate`, which shows the progress; returns its exit status."""
    command = [options.godwit, "migrate", str(source.qmp_path), uri]
    if options.bandwidth:
        command += ["--bandwidth", str(options.bandwidth)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode


def engine(machine):
    """What runs the guest, by the process's own account."""
    return "emulated" if "the guest's CPU is emulated" in machine.process.stderr() else "under KVM"


def report(options, source, destination, begin_s, verdict):
    sent, received = source.qmp.migration(), destination.qmp.migration()
    downtime_ms = (received["x-godwit-running-at-ns"] - sent["x-godwit-stopped-at-ns"]) / 1e6
    beats = guest.heartbeats(guest.joined_lines(source.serial, destination.serial))
    guest.check_heartbeats(beats)
    usual_ms = guest.largest_gap_s([beat for beat in beats if beat.time_s < begin_s]) * 1000
    gap_ms = guest.largest_gap_s(beats) * 1000
    print(f"""
How it went
  virtual CPUs           {engine(source)} at the source, {engine(destination)} at the destination
  total time             {sent["total-time"]} ms
  downtime               {downtime_ms:.2f} ms, virtual CPUs stopped to virtual CPUs running
  largest heartbeat gap  {gap_ms:.1f} ms; a beat every {options.heartbeat_ms} ms, largest gap before the move {usual_ms:.1f} ms
  sent                   {sent["ram"]["transferred"] / 1e6:.1f} MB in {sent["x-godwit-passes"]} passes
  the guest's verdict    {"no page lost or stale" if verdict.ok else "MEMORY IS DAMAGED"}: {verdict.pages} pages checked, \
{verdict.errors} errors, {len(beats)} heartbeats without one missing""", flush=True)


def demonstrate(workspace, options):
    append = f"working-set={options.working_set} rate={options.rate} cpus={options.cpus} "
    append += f"heartbeat-ms={options.heartbeat_ms} fill=words pattern=random"
    kernel = options.guest
    if not machines.kvm_works():
        kernel = options.guest32
        append += f" tsc-khz={guest.host_tsc_khz()}"
        print("KVM does not work here: the guest's CPU is emulated. (Where /dev/kvm exists, `sudo usermod -aG kvm $USER` and a new "
              "login, or running this as root, gives access to it.)", flush=True)
    source = start(workspace, options, "source", kernel=kernel, append=append)
    destination = start(workspace, options, "destination", kernel=kernel, incoming="tcp:127.0.0.1:0")
    uri = f"tcp:127.0.0.1:{listening_port(destination)}"
    guest.wait_ready(source)
    guest.wait_heartbeats(source, HEARTBEATS)
    pace = f"{options.rate} pages per second" if options.rate else "as many pages as it can"
    print(f"The guest has {options.memory} of memory and changes {pace} of {options.working_set}.\n"
          f"It moves from process {source.process.pid} to process {destination.process.pid} at {uri}:\n", flush=True)
    begin_s = time.monotonic()
    status = migrate(options, source, uri)
    if status != 0:
        print(f"\n`godwit migrate` ended with status {status}.", file=sys.stderr)
        workspace.describe(sys.stderr)
        return 1
    guest.wait_heartbeats(destination, HEARTBEATS)
    verdict = guest.ask_verdict(destination)
    report(options, source, destination, begin_s, verdict)
    for machine in (source, destination):
        machine.qmp.command("quit")
    return 0 if verdict.ok else 1


def parse():
    parser = argparse.ArgumentParser(prog="./demo", description=__doc__.splitlines()[0])
    parser.add_argument("--memory", default="512M", help="the guest's memory (%(default)s)")
    parser.add_argument("--working-set", default="128M", help="how much of it the guest keeps changing (%(default)s)")
    parser.add_argument("--rate", type=int, default=5000, help="pages changed per second, 0: all it can (%(default)s)")
    parser.add_argument("--cpus", type=int, default=1, help="virtual CPUs (%(default)s)")
    parser.add_argument("--bandwidth", type=int, default=125_000_000,
                        help="bytes per second that the move may use, 0: no limit (%(default)s, a gigabit network)")
    parser.add_argument("--heartbeat-ms", type=int, default=10, help="milliseconds between heartbeats (%(default)s)")
    parser.add_argument("--godwit", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--guest", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--guest32", required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    options = parse()
    with processes.Workspace() as workspace:
        try:
            return demonstrate(workspace, options)
        except (AssertionError, DeadlineExpired, EOFError, KeyError, QmpError) as error:
            print(f"\ndemo: {error}", file=sys.stderr)
            workspace.describe(sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    sys.exit(main())
