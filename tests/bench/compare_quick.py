#!/usr/bin/env python3
"""bench/compare measures memory over tcp in small (--all: every row), keeps rows of another run, and draws again what it wrote."""

import argparse
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.deadlines import wait_for  # noqa: E402 pylint: disable=wrong-import-position

COMPARE = ROOT / "bench" / "compare"
SIZE = "16M"


def run(*arguments, status=0):
    done = subprocess.run([str(COMPARE), *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == status, f"{arguments}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def memory_folders():
    return set(pathlib.Path("/dev/shm").glob("godwit-bench-*"))


def measures_memory(build, folder):
    text = run("--quick", "--sizes", SIZE, "--rows", "ram-tcp", "--build", build, "--output-folder", folder).stdout
    rows = {row["name"]: row for row in json.loads((folder / "compare.json").read_text(encoding="utf-8"))["rows"]}
    assert set(rows) == {"ram-tcp-16m", "cpu-tcp-16m"}, rows
    for party, values in rows["ram-tcp-16m"]["values"].items():
        assert len(values) == 1 and 0 < values[0] < 60, f"{party}: {values}"
    assert set(rows["ram-tcp-16m"]["values"]) == {"godwit", "QEMU", "bare copy"}, rows
    assert "| ram-tcp-16m |" in text and "≥ 1.2 × QEMU" in text, text
    assert (folder / "ram.svg").read_text(encoding="utf-8").startswith("<svg ")


def keeps_rows_of_another_run(build, folder, merged):
    """And tells of each run."""
    run("--quick", "--sizes", SIZE, "--rows", "zero-unallocated", "--build", build, "--output-folder", merged,
        "--merge", folder / "compare.json")
    document = json.loads((merged / "compare.json").read_text(encoding="utf-8"))
    assert {row["name"] for row in document["rows"]} == {"ram-tcp-16m", "cpu-tcp-16m", "zero-unallocated-16m"}, document
    assert len(document["runs"]) == 2, document["runs"]


def draws_again(folder, again):
    text = run("--render", folder / "compare.json", "--output-folder", again).stdout
    assert text in (folder / "compare.md").read_text(encoding="utf-8")
    for path in folder.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name


def ends_when_interrupted(build, folder):
    """Nothing is left behind."""
    before = memory_folders()
    with subprocess.Popen([str(COMPARE), "--quick", "--rounds", "500", "--rows", "ram-tcp", "--build", build, "--output-folder", folder],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        wait_for(lambda: any(list(path.iterdir()) for path in memory_folders() - before), 30, "its memory files")
        process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert time.monotonic() - begin < 30
    assert memory_folders() <= before


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if options.all:
            run("--quick", "--build", options.build, "--output-folder", folder)
            return
        measures_memory(options.build, folder / "first")
        keeps_rows_of_another_run(options.build, folder / "first", folder / "merged")
        draws_again(folder / "first", folder / "again")
        ends_when_interrupted(options.build, folder / "interrupted")
        assert "cannot read" in run("--render", folder / "nothing.json", status=2).stderr
        assert "no row is called nonsense" in run("--rows", "nonsense", status=2).stderr


main()
