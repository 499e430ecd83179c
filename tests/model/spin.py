"""Runs spin: from handover.pml and its defines to a verifier, a search, and what it says."""

import dataclasses
import pathlib
import re
import shutil
import subprocess
import sys
import time

MODEL = pathlib.Path(__file__).resolve().parent / "handover.pml"
# A search that needs more has become another one than it was: see docs/testing.md.
MEMORY_LIMIT_MIB = 512
DEPTH_LIMIT = 20_000
TIME_LIMIT_S = 240


class SpinError(Exception):
    """Spin, the compiler or the search itself failed: nothing is known about the model."""


@dataclasses.dataclass
class Search:
    """What a search found: `error` is empty, or what the verifier calls it."""

    name: str
    error: str
    notes: set[str]
    states: int
    transitions: int
    depth: int
    memory_mib: float
    seconds: float
    run: list[str] = dataclasses.field(default_factory=list)

    def figures(self) -> str:
        return (f"{self.states:,} states, {self.transitions:,} transitions, depth {self.depth}, "
                f"{self.memory_mib:.0f} MiB, {self.seconds:.1f} s")


def tool(program: str) -> str:
    found = shutil.which(program)
    if not found:
        raise SpinError(f"{program} is missing: scripts/install.sh check installs it")
    return found


def execute(command: list[str], folder: pathlib.Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=TIME_LIMIT_S)
    if done.returncode:
        raise SpinError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def parse(name: str, output: str, seconds: float) -> Search:
    """The verifier's report. Whatever is not understood is an error: a search cut short must not look like a proof."""
    def figure(pattern: str) -> str:
        found = re.search(pattern, output, re.MULTILINE)
        if not found:
            raise SpinError(f"{name}: the verifier's report has no {pattern!r}:\n{output[-3000:]}")
        return found.group(1)

    errors = int(figure(r"errors: (\d+)$"))
    found = re.search(r"^pan:1: (.+) \(at depth \d+\)$", output, re.MULTILINE)
    if bool(errors) != bool(found):
        raise SpinError(f"{name}: the report contradicts itself:\n{output[-3000:]}")
    cut_short = "Search not completed" in output or "max search depth too small" in output or "out of memory" in output
    if cut_short and not errors:
        raise SpinError(f"{name}: the search was cut short:\n{output[-3000:]}")
    return Search(name, found.group(1) if found else "",
                  set(re.findall(r"^reached (.+)$", output, re.MULTILINE)),
                  int(figure(r"^\s*(\d+) states, stored")), int(figure(r"^\s*(\d+) transitions")),
                  int(figure(r"depth reached (\d+)")), float(figure(r"^\s*([\d.]+)\s+total actual memory")), seconds)


def search(name: str, work: pathlib.Path, defines: list[str], *, cycles: bool = False, shortest: bool = False) -> Search:
    """Searches all states: for broken assertions and wrong ends, or for `cycles` without progress; `shortest`: for the
    shortest run to an error, which takes more memory."""
    folder = work / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    begun = time.monotonic()
    execute([tool("spin"), "-a", *(f"-D{define}" for define in defines), str(MODEL)], folder)
    kind = ["-DNP", "-DNOFAIR", "-Og"] if cycles else ["-DSAFETY", "-O0", *(["-DBFS"] if shortest else [])]
    execute([tool("gcc"), "-w", *kind, "-DNOREDUCE", "-DNOBOUNDCHECK", f"-DMEMLIM={MEMORY_LIMIT_MIB}", "-o", "pan", "pan.c"],
            folder)
    # -w: 2^22 slots of the table of states; -n: no list of statements that were not reached.
    done = subprocess.run(["./pan", "-w22", "-n", f"-m{DEPTH_LIMIT}", *(["-l"] if cycles else [])], cwd=folder,
                          capture_output=True, text=True, check=False, timeout=TIME_LIMIT_S)
    result = parse(name, done.stdout + done.stderr, time.monotonic() - begun)
    if result.error:
        replay = subprocess.run(["./pan", "-r", f"{MODEL.name}.trail"], cwd=folder, capture_output=True, text=True,
                                check=False, timeout=TIME_LIMIT_S).stdout
        result.run = re.findall(r"^reached (.+)$", replay, re.MULTILINE)
    return result


def tell(result: Search) -> None:
    print(f"{result.name}: {result.figures()}")
    sys.stdout.flush()
