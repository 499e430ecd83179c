"""One running guest moves along a route of QEMUs and godwits while it dirties memory and writes its disks, and is judged as one run."""

import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

# pylint: disable=wrong-import-position
import moving  # noqa: E402
from moving import guest, machines  # noqa: E402
from support import disk_record  # noqa: E402
from support.deadlines import wait_for  # noqa: E402

DISK_BYTES = 4 << 20
SEED = 7
WRITES_BETWEEN_MOVES = 20
DELTAS = 100


class TravellingGuest(moving.Setup):
    """A guest with disks, on whatever the route says. With block migration each machine has images of its own."""

    def __init__(self, workspace, arguments):
        super().__init__(workspace, arguments)
        self.engines = list(arguments.engines)
        self.outputs = []
        if arguments.disks:
            self.append += f" disk={arguments.disks} disk-seed={SEED} disk-ring={arguments.ring}"

    def engine_of_next(self):
        return self.engines.pop(0)

    def images(self, name):
        owner = name if self.arguments.block else "shared"
        paths = [self.workspace.image_path(f"{owner}-{number}.img") for number in range(self.arguments.disks)]
        for path in paths:
            if not path.exists():
                with open(path, "wb") as image:
                    image.truncate(DISK_BYTES)
        return paths

    def start(self, name, **options):
        images, modern = self.images(name), self.arguments.virtio == "modern"
        make = machines.qemu_disks if self.engines[0] == "qemu" else machines.godwit_disks
        machine = super().start(name, extra=make(images, modern), **options)
        self.set_up(machine)
        self.outputs.append(machine.serial)
        return machine

    def set_up(self, machine):
        wanted = {"xbzrle": self.arguments.xbzrle, "return-path": self.arguments.return_path == "on"}
        machine.qmp.command("migrate-set-capabilities",
                            {"capabilities": [{"capability": name, "state": state} for name, state in wanted.items()]})

    def progress(self):
        return disk_record.progress(guest.joined_lines(*self.outputs))

    def wait_writes(self, machine):
        """Until each disk has more durable writes than before, told by this machine."""
        begin = self.progress()

        def far_enough():
            now = disk_record.progress(machine.serial.lines())
            return len(now) == self.arguments.disks and all(
                each.durable >= (begin[number].durable if number in begin else 0) + WRITES_BETWEEN_MOVES
                for number, each in now.items())

        wait_for(far_enough, 60, lambda: f"{WRITES_BETWEEN_MOVES} more durable writes on {machine.name}: {self.progress()}")

    def check(self, images):
        lines = guest.joined_lines(*self.outputs)
        guest.check_serial(lines)
        beats = guest.heartbeats(lines)
        guest.check_heartbeats(beats)
        durable = 0
        for number, path in enumerate(images):
            each = self.progress()[number]
            assert each.errors == 0 and each.io_errors == 0, each
            disk_record.DiskRecord(SEED, number, DISK_BYTES // disk_record.SECTOR_BYTES).check_image(path, each.durable)
            durable += each.durable
        return len(beats), durable


def move_with_deltas(setup, source, transport, name):
    """Holds the guest at its source until pages have gone as differences: that takes three passes."""
    destination, uri = moving.TRANSPORTS[transport](setup, source, name)
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": 24 << 20, "downtime-limit": 1})
    source.qmp.command("migrate", {"uri": uri, **({"blk": True} if setup.arguments.block else {})})

    def deltas():
        return source.qmp.migration().get("xbzrle-cache", {}).get("pages", 0)

    wait_for(lambda: deltas() >= DELTAS, 60, lambda: f"{DELTAS} pages as differences: {source.qmp.migration()}")
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": 1 << 40, "downtime-limit": 20 if setup.arguments.block else 300})
    statistics = source.qmp.wait_migration("completed")
    destination.qmp.wait_run_state("running")
    return destination, statistics


def move(setup, source, name):
    transport = setup.arguments.transport
    if setup.arguments.block and source.is_qemu:
        # With its default QEMU 7.2 says that it has completed while blocks are still to be sent.
        source.qmp.command("migrate-set-parameters", {"downtime-limit": 20})
    if setup.arguments.xbzrle:
        destination, statistics = move_with_deltas(setup, source, transport, name)
    else:
        destination, statistics = moving.move(setup, source, transport, name, block=setup.arguments.block)
    if setup.arguments.disks:
        setup.wait_writes(destination)
    guest.wait_heartbeats(destination, 3)
    silence = moving.Silence(source)
    guest.wait_heartbeats(destination, 5)
    silence.check()
    moving.end(source)
    guest.expect_ok(destination, pages=setup.pages)
    return destination, statistics


def record(arguments):
    """What was moved, for docs/qemu-compatibility.md."""
    version = subprocess.run([machines.QEMU, "--version"], check=True, capture_output=True, text=True).stdout.split()[3]
    names = {"qemu": "QEMU " + ".".join(version.split(".")[:2]), "godwit": "godwit"}
    disks = "none"
    if arguments.disks:
        disks = f"{arguments.virtio}, " + ("moved (block migration)" if arguments.block else "shared")
    rows = [{"from": names[source], "to": names[destination], "virtual CPUs": str(arguments.cpus), "transport": arguments.transport,
             "return path": arguments.return_path, "deltas (xbzrle)": "on" if arguments.xbzrle else "off", "disks": disks}
            for source, destination in zip(arguments.engines, arguments.engines[1:]) if "qemu" in (source, destination)]
    arguments.record.parent.mkdir(exist_ok=True)
    arguments.record.write_text(json.dumps(rows), encoding="utf-8")


def main():
    parser = moving.argument_parser()
    parser.add_argument("--engines", nargs="+", required=True, choices=["qemu", "godwit"],
                        help="what the machines are, in the order in which they start")
    parser.add_argument("--rounds", type=int, default=1, help="how often they are gone through; the last one is then like the first")
    parser.add_argument("--transport", default="tcp", choices=["tcp", "unix", "tls", "tls-psk", "tls-unix", "tls-fd"])
    parser.add_argument("--xbzrle", action="store_true")
    parser.add_argument("--return-path", default="on", choices=["on", "off"])
    parser.add_argument("--disks", type=int, default=0)
    parser.add_argument("--block", action="store_true", help="the disks move with the guest; else all machines have the same images")
    parser.add_argument("--virtio", default="legacy", choices=["legacy", "modern"])
    parser.add_argument("--ring", default="plain", choices=["plain", "event", "indirect"])
    parser.add_argument("--record", type=pathlib.Path, help="file that says afterwards what was moved")
    arguments = parser.parse_args()
    if arguments.record:
        arguments.record.unlink(missing_ok=True)
    arguments.engines = arguments.engines[:-1] * arguments.rounds + arguments.engines[-1:]
    machines.need_kvm()
    with moving.Workspace() as workspace:
        setup = TravellingGuest(workspace, arguments)
        machine = setup.start_source("machine0")
        downtimes = []
        for number in range(1, len(arguments.engines)):
            machine, statistics = move(setup, machine, f"machine{number}")
            downtimes.append(statistics["downtime"])
        guest.expect_ok(machine, pages=setup.pages, deep=True)
        moving.power_off(setup, machine)
        machine.serial.join()
        beats, durable = setup.check(setup.images(machine.name))
        print(f"{len(downtimes)} moves: {beats} heartbeats, {durable} durable writes, downtimes {downtimes} ms")
        if arguments.record:
            record(arguments)


main()
