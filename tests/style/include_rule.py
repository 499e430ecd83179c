#!/usr/bin/env python3
"""The include rule (docs/architecture.md).

A folder under src/ includes only the public API and the folders before it in ORDER; the public API includes nothing of src/;
the folders of godwit-core have no operating system, no clock and no thread of their own.
"""

import re
import sys

import tree

ORDER = ("base", "stream", "ram", "block", "migration", "io", "rdma", "monitor", "machine", "tools", "cli")
CORE = ("base", "stream", "ram", "block", "migration")
CORE_LIBRARIES = ("fmt/", "nlohmann/", "tl/", "immintrin.h")  # the last one: instructions of the processor
# Standard headers that bring a clock, a thread, a wait, files or processes. <chrono> is needed for durations; its clocks
# are caught by name below. <mutex> is a short lock, not a wait for anybody.
CORE_FORBIDDEN = {"barrier", "condition_variable", "csignal", "ctime", "filesystem", "fstream", "future", "iostream", "latch",
                  "semaphore", "shared_mutex", "stop_token", "thread"}
CORE_CLOCKS = re.compile(r"\b(?:steady|system|high_resolution)_clock\b|\bstd::this_thread\b|\bclock_gettime\b|\bgetenv\b")
C_HEADER = re.compile(r"\.h$")


def without_comments(text: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)


def check(path: str, text: str) -> list[str]:
    """The complaints about one file; `path` is relative to the top of the tree."""
    parts = path.split("/")
    public = parts[0] == "include"
    folder = None if public else parts[1]
    if folder is not None and folder not in ORDER:
        return [f"{path}: the folder {folder} has no place in the include rule"]
    is_test = path.endswith(("_test.cpp", "testing.h"))
    core = public or folder in CORE
    complaints = []
    for mark, included in tree.includes(text):
        first = included.split("/")[0]
        if first == "godwit":
            continue
        if mark == '"':
            if public:
                complaints.append(f"{path}: the public API must not include {included}")
            elif first not in ORDER or "/" not in included:
                complaints.append(f'{path}: {included} is not of the form "folder/file.h"')
            elif ORDER.index(first) > ORDER.index(folder) and not (core and is_test):
                complaints.append(f"{path}: {folder} must not include {included} ({first} comes after it)")
        elif core and not is_test:
            if included in CORE_FORBIDDEN:
                complaints.append(f"{path}: core must not include <{included}>")
            elif C_HEADER.search(included) and not included.startswith(CORE_LIBRARIES):
                complaints.append(f"{path}: core must not include <{included}>, a header of the operating system")
    if core and not is_test:
        found = CORE_CLOCKS.search(without_comments(text))
        if found:
            complaints.append(f"{path}: core must not use {found.group(0)}")
    return complaints


def main() -> int:
    files = tree.files(("include", "src"))
    complaints = [complaint for path in files for complaint in check(tree.name(path), path.read_text())]
    return tree.finish(complaints, f"include rule in {len(files)} files")


if __name__ == "__main__":
    sys.exit(main())
