"""godwit and QEMU exchange the memory of a machine without a guest; every byte is compared afterwards."""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import pairs  # noqa: E402
from support.processes import Workspace  # noqa: E402

SIZE_MIB = 96


def start_pair(workspace, arguments, incoming):
    source_memory = workspace.memory_path("source")
    pairs.write_memory(source_memory, SIZE_MIB)
    dirty = workspace.memory_path("destination")
    # What a destination's memory held before must not show through.
    pairs.write_memory(dirty, SIZE_MIB, seed=2)

    def start(kind, name, memory_file, **options):
        if kind == "qemu":
            return pairs.start_qemu(workspace, name, SIZE_MIB, memory_file=memory_file, legacy=arguments.legacy, **options)
        return pairs.start_godwit(workspace, name, arguments.program, SIZE_MIB, memory_file=memory_file, **options)

    source_kind, destination_kind = arguments.direction.split("-to-")
    source = start(source_kind, "source", source_memory)
    destination = start(destination_kind, "destination", dirty, incoming=incoming) if incoming else None
    return source, destination, lambda uri: start(destination_kind, "destination", dirty, incoming=uri)


def configure(arguments, source, kind):
    pairs.set_capability(source, "return-path", arguments.return_path == "on")
    if kind == "qemu":
        source.qmp.command("migrate-set-parameters", {"max-bandwidth": 1 << 40})
    elif arguments.legacy:
        pairs.set_capability(source, "legacy-stream", True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--direction", required=True, choices=["godwit-to-qemu", "qemu-to-godwit", "godwit-to-godwit"])
    parser.add_argument("--transport", default="tcp", choices=["tcp", "unix", "file"])
    parser.add_argument("--return-path", default="on", choices=["on", "off"])
    parser.add_argument("--legacy", action="store_true", help="the stream of 2013")
    arguments = parser.parse_args()
    source_kind = arguments.direction.split("-to-")[0]
    with Workspace() as workspace:
        unix = workspace.path("stream")
        incoming = {"tcp": "tcp:127.0.0.1:0", "unix": f"unix:{unix}", "file": None}[arguments.transport]
        source, destination, start_destination = start_pair(workspace, arguments, incoming)
        configure(arguments, source, source_kind)
        saved = workspace.memory_path("saved")
        if arguments.transport == "file":
            uri = f"exec:cat > {saved}" if source_kind == "qemu" else f"file:{saved}"
        elif arguments.transport == "unix":
            destination.qmp.run_state()
            uri = incoming
        else:
            uri = pairs.listening_uri(destination)
        source.qmp.command("migrate", {"uri": uri})
        figures = source.qmp.wait_migration("completed")
        if arguments.transport == "file":
            destination = start_destination(f"file:{saved}")
        destination.qmp.wait_run_state("running")
        destination.qmp.wait_migration("completed")
        assert source.qmp.run_state() == "postmigrate", source.qmp.run_state()
        pairs.assert_same_memory(source, destination)
        ram = figures["ram"]
        assert ram["total"] == SIZE_MIB << 20 and ram["remaining"] == 0, ram
        assert ram["normal"] + ram["duplicate"] >= SIZE_MIB * 256, ram
        print(f"{arguments.direction} over {arguments.transport}: {ram['transferred']} bytes, same memory")


main()
