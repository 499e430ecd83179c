"""A migration of a machine without a guest passes through `godwit relay`: nothing is lost, and its account is right."""

import argparse
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import pairs  # noqa: E402
from support.processes import Workspace  # noqa: E402
from support.relaying import RelayProgram  # noqa: E402

SIZE_MIB = 64


def start(workspace, kind, name, program, seed, incoming=None):
    memory = workspace.memory_path(name)
    if seed is not None:
        pairs.write_memory(memory, SIZE_MIB, seed=seed)
    options = {"memory_file": memory} | ({"incoming": incoming} if incoming else {})
    if kind == "qemu":
        return pairs.start_qemu(workspace, name, SIZE_MIB, **options)
    return pairs.start_godwit(workspace, name, program, SIZE_MIB, **options)


def check_account(summary, arguments, figures):
    """The relay's account of the stream and the source's own agree."""
    stream, answers = summary["stream"], summary["answers"]
    assert stream["complete"] and stream["undecoded"] is None and summary["failure"] is None, summary
    blocks = {block["id"]: block for block in stream["blocks"]}
    assert blocks.keys() == {"ram"} and blocks["ram"]["size"] == SIZE_MIB << 20, blocks
    counted = blocks["ram"]["whole-pages"], blocks["ram"]["zero-pages"]
    assert counted == (figures["ram"]["normal"], figures["ram"]["duplicate"]), (counted, figures["ram"])
    assert stream["passes"] >= 1 and stream["sections"]["start"] >= 1 and stream["sections"]["end"] >= 1, stream
    assert "globalstate" in [device["name"] for device in stream["devices"]], stream
    assert summary["stop-to-end-ms"] >= 0, summary
    assert summary["forward-bytes"] > blocks["ram"]["whole-bytes"] + blocks["ram"]["zero-bytes"], summary
    with_answers = arguments.return_path == "on"
    assert stream["return-path"] == with_answers and (answers["shut"] == 0) == with_answers, summary
    assert (summary["backward-bytes"] > 0) == with_answers and answers["undecoded"] is None, summary
    between_godwits = arguments.source == arguments.destination == "godwit" and with_answers
    assert stream["committed"] == between_godwits, stream
    for own in ("MANIFEST", "LOADED", "RUNNING"):
        assert answers["messages"].get(own, 0) == int(between_godwits), answers


def check_record(workspace, arguments, recorded, source):
    """The file is a stream that can be looked at and loaded."""
    text = subprocess.run([arguments.program, "inspect", recorded], check=True, capture_output=True, text=True).stdout
    assert "COMMAND" not in text and "DESCRIPTION" in text, text
    loaded = start(workspace, "godwit", "loaded", arguments.program, None, incoming=f"file:{recorded}")
    loaded.qmp.wait_run_state("running")
    pairs.assert_same_memory(source, loaded)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--source", required=True, choices=["qemu", "godwit"])
    parser.add_argument("--destination", required=True, choices=["qemu", "godwit"])
    parser.add_argument("--transport", default="tcp", choices=["tcp", "tcp6", "unix"])
    parser.add_argument("--return-path", default="on", choices=["on", "off"])
    arguments = parser.parse_args()
    with Workspace() as workspace:
        source = start(workspace, arguments.source, "source", arguments.program, seed=1)
        # Between godwits, zero pages are not sent to memory that is fresh.
        incoming, listen = {"tcp": ("tcp:127.0.0.1:0", "tcp:127.0.0.1:0"), "tcp6": ("tcp:[::1]:0", "tcp:[::1]:0"),
                            "unix": (f"unix:{workspace.path('stream')}", f"unix:{workspace.path('relay')}")}[arguments.transport]
        destination = start(workspace, arguments.destination, "destination", arguments.program, seed=2, incoming=incoming)
        destination.qmp.run_state()
        to = incoming if arguments.transport == "unix" else pairs.listening_uri(destination)
        to = to.replace("127.0.0.1", "[::1]") if arguments.transport == "tcp6" else to
        recorded, answers = workspace.memory_path("recorded"), workspace.memory_path("answers")
        relay = RelayProgram(workspace, arguments.program, to, listen,
                             extra=["--record", recorded, "--record-return", answers])
        pairs.set_capability(source, "return-path", arguments.return_path == "on")
        source.qmp.command("migrate", {"uri": relay.uri})
        figures = source.qmp.wait_migration("completed")
        destination.qmp.wait_run_state("running")
        assert source.qmp.run_state() == "postmigrate", source.qmp.run_state()
        pairs.assert_same_memory(source, destination)
        status, summary = relay.wait_end(20)
        assert status == 0 and not relay.errors(), (status, relay.process.stderr(), summary)
        check_account(summary, arguments, figures)
        assert pathlib.Path(answers).stat().st_size == summary["backward-bytes"] + summary["unheard-bytes"], summary
        check_record(workspace, arguments, recorded, source)
        print(f"{arguments.source} to {arguments.destination}: {summary['forward-bytes']} bytes forward, "
              f"{summary['backward-bytes']} back, {summary['stream']['passes']} passes, "
              f"stop to end {summary['stop-to-end-ms']:.2f} ms")


main()
