#!/usr/bin/env python3
"""The documents name what exists: documentation.py [PROGRAM].

Every figure of the statistics stands in docs/statistics.md, every parameter in docs/embedding.md, every transition between states in docs/architecture.md, every subcommand of PROGRAM in README.md or docs/, every
command of QMP with its arguments and every event in docs/qmp.md; every relative link leads to a file.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import tree

sys.path.insert(0, str(tree.ROOT / "tests"))
from support.deadlines import wait_for  # noqa: E402 pylint: disable=wrong-import-position

LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)")
# A member of the statistics: type, name, an initial value or none, all on one line.
STATISTIC = re.compile(r"^    [\w:<>]+ (\w+)(?:\{\}| = [^;]+)?;", re.MULTILINE)
SUBCOMMAND = re.compile(r"^  ([a-z][a-z-]*)(?:\s|$)")


def read(path: str) -> str:
    return (tree.ROOT / path).read_text()


def block(text: str, start: str) -> str:
    """The text from `start` to the closing brace of its declaration."""
    begin = text.index(start)
    return text[begin:re.compile(r"^\}\}?;", re.MULTILINE).search(text, begin).start()]


def statistics() -> list[str]:
    document = read("docs/statistics.md")
    members = STATISTIC.findall(block(read("include/godwit/statistics.h"), "struct MigrationStatistics"))
    return [f"docs/statistics.md lacks {member}" for member in members if f"`{member}`" not in document]


def parameters() -> list[str]:
    document = read("docs/embedding.md")
    members = STATISTIC.findall(block(read("include/godwit/parameters.h"), "struct MigrationParameters"))
    return [f"docs/embedding.md lacks the parameter {member}" for member in members if f"`{member}`" not in document]


def transitions() -> list[str]:
    """The table of states in the documents is the one in the code."""
    code = block(read("src/migration/state_table.cpp"), "transitions{{")
    documented = set(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", read("docs/architecture.md"), re.MULTILINE))
    existing = set(re.findall(r"\{(\w+), (\w+)\}", code))
    different = sorted(existing ^ documented)
    return [f"docs/architecture.md and src/migration/state_table.cpp differ in {a} to {b}" for a, b in different]


def subcommands(program: str) -> list[str]:
    text = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    _, _, listed = text.partition("ubcommands:")
    if not listed:
        return [f"{program} --help lists no subcommands"]
    documents = "\n".join(path.read_text() for path in [tree.ROOT / "README.md", *tree.files(("docs",), (".md",))])
    complaints = []
    # The list ends with an empty line; examples may follow.
    for line in listed.strip("\n").partition("\n\n")[0].splitlines():
        found = SUBCOMMAND.match(line)
        if found and f"godwit {found.group(1)}" not in documents:
            complaints.append(f"neither README.md nor docs/ speaks of `godwit {found.group(1)}`")
    return complaints


def qmp_schema(program: str) -> dict[str, dict]:
    """What a machine without a guest says about its QMP."""
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "qmp"
        with subprocess.Popen([program, "run", "--machine", "none", "--memory", "1M", "--qmp", f"unix:{path}"]) as machine:
            try:
                wait_for(lambda: path.exists() or machine.poll() is not None, 30, "QMP")
                answer = subprocess.run([program, "qmp", path, "query-qmp-schema"], capture_output=True, text=True, check=True)
            finally:
                machine.kill()
    return {entry["name"]: entry for entry in json.loads(answer.stdout)}


def qmp(program: str) -> list[str]:
    """The tables of commands and events are those that the program knows."""
    rows = {name: rest for name, rest in re.findall(r"^\| `([\w-]+)` \| (.*)", read("docs/qmp.md"), re.MULTILINE)}
    schema = qmp_schema(program)
    complaints = []
    spoken = {name for name, entry in schema.items() if entry["meta-type"] in ("command", "event")}
    for name in sorted(spoken ^ rows.keys()):
        complaints.append(f"docs/qmp.md lacks {name}" if name in spoken else f"docs/qmp.md has {name}, which QMP has not")
    for name in sorted(spoken & rows.keys() - {"migrate-set-parameters"}):
        for member in schema[schema[name]["arg-type"]]["members"]:
            if f"`{member['name']}`" not in rows[name]:
                complaints.append(f"docs/qmp.md lacks {member['name']} of {name}")
    return complaints


def links() -> list[str]:
    complaints = []
    documents = [*tree.ROOT.glob("*.md"), *tree.files(("docs", "guests", "bench", "tests", "examples"), (".md",))]
    for document in documents:
        for target in LINK.findall(document.read_text()):
            if not (document.parent / pathlib.Path(target)).exists():
                complaints.append(f"{tree.name(document)}: no file {target}")
    return complaints


def main() -> int:
    complaints = statistics() + parameters() + transitions() + links()
    for program in sys.argv[1:]:
        complaints += subcommands(program) + qmp(program)
    return tree.finish(complaints, "documents")


if __name__ == "__main__":
    sys.exit(main())
