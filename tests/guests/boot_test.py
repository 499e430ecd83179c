"""The workload boots, beats, verifies itself and powers off, with every pattern."""

import common
from common import guest

WORKING_SET_PAGES = 128


def run_pattern(arguments, pattern, rate):
    with common.Workspace() as workspace:
        machine = common.start(workspace, arguments,
                               f"working-set=512K pattern={pattern} rate={rate} heartbeat-ms=50 fill=full")
        guest.wait_ready(machine)
        beats = guest.wait_heartbeats(machine, 5)
        guest.expect_ok(machine, pages=WORKING_SET_PAGES)
        guest.expect_ok(machine, pages=WORKING_SET_PAGES, deep=True)
        after = guest.wait_heartbeats(machine, len(beats) + 5)
        assert after[-1].pages > beats[0].pages, "the guest stopped touching pages"
        guest.check_heartbeats(after)
        guest.check_serial(machine.serial.lines())
        machine.write_serial(b"q")
        assert machine.process.wait_exit() == 1, "the guest did not power off through port 0x501"


def stops_after_rounds(arguments):
    with common.Workspace() as workspace:
        machine = common.start(workspace, arguments, "working-set=1M stop-after=3 verdict-every=1 idle=spin")
        assert machine.process.wait_exit(120) == 1
        machine.serial.join()
        verdicts = [v for v in map(guest.parse_verdict, machine.serial.lines()) if v]
        assert [v.generation for v in verdicts][:1] == [1] and verdicts[-1].generation == 3, verdicts
        assert all(v.ok for v in verdicts)


def keeps_its_rate(arguments):
    with common.Workspace() as workspace:
        machine = common.start(workspace, arguments, "working-set=1M rate=1000 heartbeat-ms=50")
        beats = guest.wait_heartbeats(machine, 20)
        seconds = beats[-1].time_s - beats[0].time_s
        rate = (beats[-1].pages - beats[0].pages) / seconds
        # Too slow may be the host's fault; too fast is the guest's.
        assert rate < 1300, f"{rate:.0f} pages a second"


def main():
    arguments = common.parse_arguments()
    for pattern, rate in (("small", 0), ("small", 2000), ("random", 0), ("zero", 0), ("constant", 0)):
        run_pattern(arguments, pattern, rate)
    stops_after_rounds(arguments)
    keeps_its_rate(arguments)


main()
