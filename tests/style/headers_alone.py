#!/usr/bin/env python3
"""Every header compiles alone. In a short run: the public ones and those that changed; with GODWIT_LONG=1 all of them."""

import os
import pathlib
import subprocess
import sys

import tree

COMPILER = os.environ.get("CXX", "g++")
FLAGS = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]


def headers() -> list[pathlib.Path]:
    public = tree.files(("include",), (".h",))
    others = tree.files(("src", "tests", "bench", "examples"), (".h",))
    changed = tree.changed()
    if not tree.LONG and changed is not None:
        others = [path for path in others if tree.closure(path) & changed]
    return public + others


def compile_alone(path: pathlib.Path) -> str | None:
    command = [COMPILER, *FLAGS, "-I", "include", "-I", "src", "-I", "tests", "-I", "tests/simulation", "-I", ".", "-x", "c++", "-"]
    done = subprocess.run(command, input=f'#include "{path}"\n', cwd=tree.ROOT, capture_output=True, text=True, check=False)
    return f"{tree.name(path)} does not compile alone:\n{done.stderr}" if done.returncode else None


def main() -> int:
    memory = tree.Memory("headers", " ".join([COMPILER, *FLAGS]))
    wanted = headers()

    def job(path: pathlib.Path) -> str | None:
        if memory.has(path):
            return None
        complaint = compile_alone(path)
        if complaint is None:
            memory.add(path)
        return complaint

    return tree.finish(tree.run_each(wanted, job), f"{len(wanted)} headers compiled alone")


if __name__ == "__main__":
    sys.exit(main())
