#!/usr/bin/env python3
"""clang-tidy (.clang-tidy) is content: tidy.py BUILD_DIRECTORY.

In a short run with the sources that changed, as many as fit into BUDGET_S; with GODWIT_LONG=1 with all of them.
"""

import json
import pathlib
import re
import subprocess
import sys
import time

import tree

BUDGET_S = 100.0


PRECOMPILED = re.compile(r" -Winvalid-pch| -fpch-preprocess| -include \S*cmake_pch\.hxx")


def write_commands(build: pathlib.Path, folder: pathlib.Path) -> list[dict[str, str]]:
    """The build's commands without its precompiled headers: they are another compiler's, and would hide what a source forgot to include."""
    commands = json.loads((build / "compile_commands.json").read_text())
    for command in commands:
        command["command"] = PRECOMPILED.sub("", command["command"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "compile_commands.json").write_text(json.dumps(commands))
    return commands


def sources(commands: list[dict[str, str]]) -> list[pathlib.Path]:
    """What the build compiles, in a short run what changed of it; the latest first."""
    folders = [tree.ROOT / folder for folder in ("src", "tests", "examples", "bench")]
    found = {pathlib.Path(command["file"]) for command in commands}
    found = {path for path in found if path.suffix == ".cpp" and any(folder in path.parents for folder in folders)}
    changed = tree.changed()
    if not tree.LONG and changed is not None:
        # A changed header is looked at through the source of the same name.
        found = {path for path in found if path in changed or path.with_suffix(".h") in changed}
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def main() -> int:
    build = pathlib.Path(sys.argv[1])
    database = build / "tidy"
    commands = write_commands(build, database)
    program = tree.tool("clang-tidy")
    memory = tree.Memory("tidy", (tree.ROOT / ".clang-tidy").read_text())
    begin = time.monotonic()
    left: list[str] = []

    def job(path: pathlib.Path) -> str | None:
        if memory.has(path):
            return None
        if not tree.LONG and time.monotonic() - begin > BUDGET_S:
            left.append(tree.name(path))
            return None
        done = subprocess.run([program, "--quiet", "-p", str(database), "--extra-arg=-Wno-unknown-warning-option", str(path)],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            return done.stdout + done.stderr
        memory.add(path)
        return None

    wanted = sources(commands)
    complaints = tree.run_each(wanted, job)
    if left:
        print(f"No time for {len(left)} files; ./check --long takes all: {' '.join(left)}")
    return tree.finish(complaints, f"clang-tidy on {len(wanted) - len(left)} files")


if __name__ == "__main__":
    sys.exit(main())
