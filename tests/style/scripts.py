#!/usr/bin/env python3
"""Shell scripts pass shellcheck, Python files compile."""

import ast
import pathlib
import subprocess
import sys

import tree


def is_shell_script(path: pathlib.Path) -> bool:
    with path.open("rb") as file:
        first = file.readline()
    return first.startswith(b"#!") and b"sh" in first.split(b"/")[-1]


def shell_scripts() -> list[str]:
    own = [tree.ROOT / "check", tree.ROOT / "demo", tree.ROOT / ".ci" / "run"]
    others = tree.files(("scripts", "tests", "bench", "guests", "examples"), (".sh", ""))
    return [str(path) for path in [*own, *others] if path.is_file() and is_shell_script(path)]


def main() -> int:
    complaints = []
    shellcheck = subprocess.run(["shellcheck", *shell_scripts()], capture_output=True, text=True, check=False)
    if shellcheck.returncode:
        complaints.append(shellcheck.stdout + shellcheck.stderr)
    python = tree.files(("scripts", "tests", "bench"), (".py",))
    for path in python:
        try:
            ast.parse(path.read_text(), tree.name(path))
        except SyntaxError as error:
            complaints.append(f"{tree.name(path)}: {error}")
    return tree.finish(complaints, f"{len(shell_scripts())} shell scripts and {len(python)} Python files")


if __name__ == "__main__":
    sys.exit(main())
