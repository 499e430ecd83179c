#!/usr/bin/env python3
"""Every C and C++ file is as clang-format leaves it (.clang-format)."""

import subprocess
import sys

import tree


def main() -> int:
    files = tree.files()
    program = tree.tool("clang-format")
    done = subprocess.run([program, "--dry-run", "-Werror", "--ferror-limit=1", *map(str, files)],
                          capture_output=True, text=True, check=False)
    sys.stdout.write(done.stderr)
    if done.returncode:
        print(f"Run: {program} -i FILE")
    print(f"{len(files)} files formatted: {'no' if done.returncode else 'yes'}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
