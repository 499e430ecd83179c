"""`godwit run --trace` and `godwit trace`: the story of a migration from both sides, its drawing, and traces that are incomplete."""

import argparse
import json
import pathlib
import subprocess
import sys
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import pairs  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.processes import Workspace  # noqa: E402

SIZE_MIB = 32


def start_pair(workspace, program, source_extra=()):
    memory = workspace.memory_path("source")
    pairs.write_memory(memory, SIZE_MIB)
    source = pairs.start_godwit(workspace, "source", program, SIZE_MIB, memory_file=memory,
                                extra=("--trace", workspace.path("source.trace"), "--name", "<vm & 1>", *source_extra))
    destination = pairs.start_godwit(workspace, "destination", program, SIZE_MIB, incoming="tcp:127.0.0.1:0",
                                     extra=("--trace", workspace.path("destination.trace")))
    return source, pairs.listening_uri(destination)


def migrate(source, uri, state):
    source.qmp.command("migrate-set-parameters", {"max-bandwidth": 16 << 20})
    source.qmp.command("migrate", {"uri": uri})
    return source.qmp.wait_migration(state)


def tell(program, *words, status=0):
    ended = subprocess.run([program, "trace", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           timeout=30, check=False)
    assert ended.returncode == status, ended
    return ended.stdout


def events(path):
    """Every line, parsed; times never go back by more than what two threads may differ."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for before, after in zip(lines, lines[1:]):
        assert after["t_ns"] > before["t_ns"] - 1_000_000, (before, after)
    return lines


def whole_story(workspace, program):
    source, uri = start_pair(workspace, program)
    failed = migrate(source, "tcp:127.0.0.1:1", "failed")
    completed = migrate(source, uri, "completed")
    path = workspace.path("source.trace")
    assert path.stat().st_mode & 0o777 == 0o600
    wait_for(lambda: '"source-completed"' in path.read_text(), 10, "the last step is in the trace")
    lines = events(path)
    assert lines[0]["godwit_trace"] == 1 and lines[0]["name"] == "<vm & 1>" and lines[0]["role"] == "source", lines[0]
    kinds = {line["event"] for line in lines[1:]}
    assert kinds == {"state", "pass", "window", "sync", "switchover", "step", "end"}, kinds
    ends = [line for line in lines[1:] if line["event"] == "end"]
    assert [end["state"] for end in ends] == ["failed", "completed"], ends
    assert ends[0]["error"] == failed["error-desc"], ends[0]
    assert ends[1]["transferred_bytes"] == completed["ram"]["transferred"], (ends[1], completed)
    assert ends[1]["downtime_ns"] == completed["x-godwit-downtime-ns"], (ends[1], completed)
    windows = [line for line in lines[1:] if line["event"] == "window"]
    assert sum(window["bytes"] for window in windows) <= ends[1]["transferred_bytes"]
    assert any(window["asleep_ns"] > 0 for window in windows), "a limited migration that never slept"
    story = tell(program, path)
    for part in ("migration 1 (source)", "migration 2 (source)", "state: handing_over", "decision: stop the guest",
                 "handover: source-committed", "outcome:     completed", failed["error-desc"]):
        assert part in story, f"no {part!r} in\n{story}"
    story = tell(program, workspace.path("destination.trace"))
    assert "handover: destination-running" in story and "received:" in story, story
    return path


def drawing(workspace, program, path):
    svg = workspace.path("x.svg")
    for words in ((), ("--migration", "1"), ("--migration", "2")):
        tell(program, path, "--svg", svg, *words)
        root = xml.etree.ElementTree.parse(svg).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg", root.tag
        assert "<vm & 1>" in root.find("{http://www.w3.org/2000/svg}text").text
    assert len(root.findall("{http://www.w3.org/2000/svg}polyline")) >= 2
    assert [mark for mark in root.iter() if mark.get("class") == "downtime"], "the downtime is not marked"
    assert "holds 2 migrations" in tell(program, path, "--svg", svg, "--migration", "3", status=1)
    assert "cannot make" in tell(program, path, "--svg", workspace.path("missing/x.svg"), status=1)


def incomplete(workspace, program, path):
    text = path.read_text()
    cut = workspace.path("cut.trace")
    for length in (len(text) - 5, len(text) // 2, len(text) // 3):
        cut.write_text(text[:length])
        tell(program, cut)
        tell(program, cut, "--svg", workspace.path("cut.svg"))
    lines = text.splitlines(keepends=True)
    cut.write_text("".join(lines[:3] + ["nonsense\n"] + lines[3:]))
    assert "line 4" in tell(program, cut, status=1)
    cut.write_text("")
    assert "empty" in tell(program, cut, status=1)


def killed(workspace, program):
    source, uri = start_pair(workspace, program, ("--test-kill-at", "source-stopped"))
    source.qmp.command("migrate", {"uri": uri})
    assert source.process.wait_exit() == -9
    story = tell(program, workspace.path("source.trace"))
    assert "handover: source-stopped" in story and "the trace stops before the end" in story, story


def refused(_, program):
    for path in ("/dev/full", "/", "/nonexistent/trace"):
        ended = subprocess.run([program, "run", "--machine", "none", "--trace", path], stderr=subprocess.PIPE, text=True,
                               timeout=30, check=False)
        assert ended.returncode == 1 and f"the trace file '{path}'" in ended.stderr, ended


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    arguments, _ = parser.parse_known_args()
    with Workspace() as workspace:
        path = whole_story(workspace, arguments.program)
        drawing(workspace, arguments.program, path)
        incomplete(workspace, arguments.program, path)
    for case in (killed, refused):
        with Workspace() as workspace:
            case(workspace, arguments.program)
    print("traces: fine", flush=True)


if __name__ == "__main__":
    main()
