"""The dirty rate of a guest that writes a known number of pages per second; of one that is stopped; and a measurement that the end of the program cuts short."""

import argparse
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import accelerators, guest  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.processes import Workspace  # noqa: E402

PAGES_PER_S = 5000
MEGABYTES_PER_S = PAGES_PER_S * 4096 / (1 << 20)
APPEND = f"working-set=96M rate={PAGES_PER_S} pattern=small heartbeat-ms=100 fill=words"
TIME_S = 2


def measure(machine):
    machine.qmp.command("calc-dirty-rate", {"calc-time": TIME_S, "sample-pages": 16384})
    assert machine.qmp.command("query-dirty-rate")["status"] == "measuring"
    wait_for(lambda: machine.qmp.command("query-dirty-rate")["status"] == "measured", 60, "the dirty rate")
    return machine.qmp.command("query-dirty-rate")["dirty-rate"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    accelerators.add_arguments(parser)
    arguments, _ = parser.parse_known_args()
    with Workspace() as workspace:
        platform = accelerators.Platform(arguments)
        machine = platform.start(workspace, "machine", memory="128M", **platform.boots(APPEND))
        guest.wait_ready(machine)
        guest.wait_heartbeats(machine, 3)
        rate = measure(machine)
        # One page in eight is looked at; a busy host makes the guest lag behind.
        assert 0.6 * MEGABYTES_PER_S < rate < 1.2 * MEGABYTES_PER_S, rate
        guest.expect_ok(machine)
        machine.qmp.command("stop")
        assert measure(machine) == 0
        machine.qmp.command("calc-dirty-rate", {"calc-time": 60})
        begin = time.monotonic()
        machine.qmp.command("quit")
        assert machine.process.wait_exit(10) == 0
        print(f"{rate} MB/s measured, {MEGABYTES_PER_S:.1f} written; ended after {time.monotonic() - begin:.2f} s")


main()
