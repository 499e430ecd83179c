#!/usr/bin/env python3
"""The tree stays readable: no file too long to be read in one sitting, nothing left for later, no paths of one machine."""

import pathlib
import re
import sys

import tree

MOST_LINES = 300
LIMIT_LINES = 400
# At most this share of the files may be between the two.
LONG_SHARE = 0.05
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
MACHINE_PATH = re.compile(r"(?:^|[^a-zA-Z_.])/(?:home/[a-z]|work/|root/)")
TEXT_SUFFIXES = (*tree.CODE_SUFFIXES, ".py", ".sh", ".md", ".txt", ".cmake", ".S", ".ld")
PROSE = (".md", ".txt")


def main() -> int:
    complaints = []
    long_files = []
    files = tree.files((*tree.CODE_FOLDERS, "scripts", "docs", "cmake"), TEXT_SUFFIXES)
    files += sorted(path for path in tree.ROOT.glob("*") if path.is_file() and path.suffix in (*TEXT_SUFFIXES, "")
                    and path.name != ".git")  # a file in a worktree
    for path in files:
        if path == pathlib.Path(__file__).resolve():
            continue  # it names what it looks for
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            complaints.append(f"{tree.name(path)}: no text in UTF-8")
            continue
        lines = text.count("\n")
        if path.suffix not in PROSE and lines > LIMIT_LINES:
            complaints.append(f"{tree.name(path)}: {lines} lines; the limit is {LIMIT_LINES}")
        elif path.suffix not in PROSE and lines > MOST_LINES:
            long_files.append(f"{tree.name(path)} ({lines})")
        for number, line in enumerate(text.splitlines(), 1):
            if UNFINISHED.search(line) or MACHINE_PATH.search(line):
                complaints.append(f"{tree.name(path)}:{number}: {line.strip()}")
            if line != line.rstrip() and path.suffix != ".md":
                complaints.append(f"{tree.name(path)}:{number}: blanks at the end of the line")
        if text and not text.endswith("\n"):
            complaints.append(f"{tree.name(path)}: no newline at the end")
    if len(long_files) > max(3, LONG_SHARE * len(files)):
        complaints.append(f"too many files over {MOST_LINES} lines: {', '.join(long_files)}")
    return tree.finish(complaints, f"{len(files)} files are neat")


if __name__ == "__main__":
    sys.exit(main())
