#!/usr/bin/env python3
"""Builds the simulation with deliberate bugs in the handover and insists that each of them is caught.

usage: catch.py WORK_DIR [BUG...]
"""

import os
import pathlib
import shutil
import subprocess
import sys
import time

from bugs import BUGS, Bug

TOP = pathlib.Path(__file__).resolve().parents[2]
# No more than what ./check runs: a bug that takes longer to find is a weakness of the simulation.
RUNS = (("--disks", "5000"), ("--direct", "5000"), ("--every-step", "30"), ("--race-cancel", "2000"), ("--runs", "4000"))
RUN_LIMIT_S = 300


def copy_tree(tree: pathlib.Path) -> None:
    listed = subprocess.run(["git", "-C", TOP, "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (TOP / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, tree / name)


def build(tree: pathlib.Path) -> pathlib.Path:
    environment = dict(os.environ, CCACHE_BASEDIR=str(tree), CCACHE_NOHASHDIR="1")
    done = subprocess.run(
        [tree / "scripts/build.sh", "release", "-DGODWIT_TESTS=ON", "-DGODWIT_BENCH=OFF", "--", "simulation"],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"the build failed:\n{done.stdout}{done.stderr}")
    return tree / "build/release/tests/simulation/simulation"


def first_complaint(program: pathlib.Path) -> str | None:
    """What the simulation says first, or nothing if all is well."""
    for arguments in RUNS:
        done = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=RUN_LIMIT_S, check=False)
        if done.returncode != 0:
            lines = (done.stdout + done.stderr).splitlines()
            told = [line.strip() for line in lines if line.startswith("  ") and "replay:" not in line]
            return f"{' '.join(arguments)}: {told[0] if told else ' '.join(lines[-1:]) or done.returncode}"
    return None


def mutated(text: str, path: str, bug: Bug) -> str:
    for change in bug.changes:
        if change.path == path:
            if text.count(change.text) != 1:
                sys.exit(f"{bug.name} does not fit {path} any more: this text must be there once:\n{change.text}")
            text = text.replace(change.text, change.instead)
    return text


def catches(tree: pathlib.Path, bug: Bug) -> bool:
    paths = sorted({change.path for change in bug.changes})
    originals = {path: (tree / path).read_text(encoding="utf-8") for path in paths}
    try:
        for path, text in originals.items():
            (tree / path).write_text(mutated(text, path, bug), encoding="utf-8")
        program = build(tree)
        begun = time.monotonic()
        complaint = first_complaint(program)
        taken = time.monotonic() - begun
    finally:
        for path, text in originals.items():
            (tree / path).write_text(text, encoding="utf-8")
    print(f"{bug.name}: {bug.what}\n  {'caught' if complaint else 'NOT CAUGHT'} after {taken:.1f} s"
          f"{': ' + complaint if complaint else ''}", flush=True)
    return complaint is not None


def main() -> int:
    tree = pathlib.Path(sys.argv[1]).resolve() / "tree"
    wanted = sys.argv[2:]
    unknown = set(wanted) - {bug.name for bug in BUGS}
    if unknown:
        sys.exit(f"no such bug: {', '.join(sorted(unknown))}")
    shutil.rmtree(tree, ignore_errors=True)
    copy_tree(tree)
    if complaint := first_complaint(build(tree)):
        sys.exit(f"without any bug: {complaint}")
    print("without any bug: no complaints", flush=True)
    missed = [bug.name for bug in BUGS if (not wanted or bug.name in wanted) and not catches(tree, bug)]
    if missed:
        print(f"not caught: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
