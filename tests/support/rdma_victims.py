"""Machines that are attacked over RDMA, and what has to become of them."""

import argparse
import resource

from . import pairs

SIZE_MIB = 8
SIZE = SIZE_MIB << 20
# A peer is given up at the latest when it has been silent for 4 s, or has not said hello for 5 s.
LIMIT_S = 7
MOST_MEMORY_BYTES = 64 << 20


class Victims:
    """Machines without a guest."""

    def __init__(self, program):
        self.program = program

    def source(self, workspace):
        memory = workspace.memory_path("source")
        pairs.write_memory(memory, SIZE_MIB)
        return pairs.start_godwit(workspace, "source", self.program, SIZE_MIB, memory_file=memory)

    def destination(self, workspace, incoming="rdma:127.0.0.1:0"):
        # Not fresh: pages of zeros have to be sent.
        memory = workspace.memory_path("destination")
        pairs.write_memory(memory, SIZE_MIB, seed=2)
        machine = pairs.start_godwit(workspace, "destination", self.program, SIZE_MIB, memory_file=memory, incoming=incoming)
        return machine, pairs.listening_port(machine)


def expect_one_error(text, what):
    lines = [line for line in text.splitlines() if " error: " in line]
    assert len(lines) == 1, f"{what}: {len(lines)} errors instead of one\n{text}"
    assert "assertion" not in text and lines[0].isprintable(), f"{what}: {text}"
    return lines[0]


def expect_end(destination, what, limit_s=LIMIT_S):
    status = destination.process.wait_exit(limit_s)
    assert status == 1, f"{what}: status {status}\n{destination.process.stderr()}"
    line = expect_one_error(destination.process.stderr(), what)
    assert "incoming migration" in line, f"{what}: {line}"
    return line


def expect_runs_on(source, what, limit_s=LIMIT_S):
    figures = source.qmp.wait_migration("failed", timeout_s=limit_s)
    assert source.qmp.run_state() == "running" and figures["error-desc"], f"{what}: {figures}"
    assert "assertion" not in source.process.stderr(), f"{what}: {source.process.stderr()}"
    return figures["error-desc"]


def check_memory():
    """Nobody among the processes that have ended took much memory."""
    most_bytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    assert most_bytes < MOST_MEMORY_BYTES, f"a process took {most_bytes >> 20} MiB"
    print(f"no process took more than {most_bytes >> 20} MiB")


def run_cases(*cases):
    """The program of a test: runs all cases, or the one that is asked for, and looks at the memory that the victims needed."""
    by_name = {case.__name__: case for case in cases}
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--case", choices=list(by_name), help="only this one")
    arguments = parser.parse_args()
    for name, case in by_name.items():
        if arguments.case in (None, name):
            case(Victims(arguments.program))
    check_memory()
