"""Streams that are cut or damaged end in one clear error: status 1, nothing started, no crash, no hang, little memory."""

import argparse
import pathlib
import random
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import machines, pairs  # noqa: E402
from support.processes import Workspace  # noqa: E402

SIZE_MIB = 4


def saved_stream(workspace, program):
    memory_file = workspace.memory_path("memory")
    pairs.write_memory(memory_file, SIZE_MIB)
    source = pairs.start_godwit(workspace, "source", program, SIZE_MIB, memory_file=memory_file)
    path = workspace.path("good")
    source.qmp.command("migrate", {"uri": f"file:{path}"})
    source.qmp.wait_migration("completed")
    return path.read_bytes()


def load(program, path):
    command = [program, "run", "--machine", "none", "--memory", f"{SIZE_MIB}M", "--incoming", f"file:{path}", *machines.SANDBOX]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=20, check=False,
                          stdin=subprocess.DEVNULL)


def expect_error(program, path, what):
    try:
        result = load(program, path)
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"{what}: hangs, or was taken for a good stream") from error
    assert result.returncode == 1, f"{what}: status {result.returncode}\n{result.stderr}"
    lines = [line for line in result.stderr.splitlines() if "incoming migration" in line]
    assert len(lines) >= 1, f"{what}: no error was told\n{result.stderr}"
    assert "assertion" not in result.stderr, result.stderr


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    with Workspace() as workspace:
        good = saved_stream(workspace, arguments.program)
        path = workspace.path("bad")
        eof = good.rindex(b"\x00\x06")
        for round_number in range(arguments.rounds):
            cut = generator.randrange(0, eof)
            path.write_bytes(good[:cut])
            expect_error(arguments.program, path, f"cut at {cut}")
        # Bytes of the frame in which every bit matters: magic, version, length of the machine type, section type and name.
        for at in [*range(0, 8), 8, 9, 10, *range(13, 18), *range(22, 26), *range(30, 34)]:
            damaged = bytearray(good)
            damaged[at] ^= 0x80
            path.write_bytes(damaged)
            expect_error(arguments.program, path, f"bit flipped at {at}")
        for name, content in {"empty": b"", "text": b"hello world\n" * 10, "zeros": bytes(100),
                              "a huge machine type": good[:8] + b"\x07\xff\xff\xff\xff",
                              "a huge block list": good[:17] + b"\x01\0\0\0\2\3ram\0\0\0\0\0\0\0\4" + b"\xff" * 7 + b"\x04\3ram" + b"\xff" * 8}.items():
            path.write_bytes(content)
            expect_error(arguments.program, path, name)
    print(f"{arguments.rounds} cuts, and damages: an error each")


main()
