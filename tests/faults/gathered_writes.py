"""On an unlimited channel whole batches of pages leave in one system call, none of them copied: strace sees it."""

import argparse
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import pairs  # noqa: E402
from support.processes import Workspace  # noqa: E402

SIZE_MIB = 128
PAGES_PER_WRITE = 64
# A record is a head and a page, and so two buffers.
_CALL = re.compile(r"(?:sendmsg|writev)\(.*?(?:msg_iovlen=|, )(\d+)[,)].* = (\d+)")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    arguments = parser.parse_args()
    with Workspace() as workspace:
        memory_file = workspace.memory_path("memory")
        with open(memory_file, "wb") as file:
            file.write(b"\x5a" * (SIZE_MIB << 20))
        source = pairs.start_godwit(workspace, "source", arguments.program, SIZE_MIB, memory_file=memory_file)
        destination = pairs.start_godwit(workspace, "destination", arguments.program, SIZE_MIB, incoming="tcp:127.0.0.1:0")
        uri = pairs.listening_uri(destination)
        source.qmp.run_state()
        log = workspace.path("strace")
        with subprocess.Popen(["strace", "-f", "-qq", "-e", "trace=sendmsg,writev", "-e", "abbrev=all", "-s", "0",
                               "-o", str(log), "-p", str(source.process.pid)], stderr=subprocess.PIPE, text=True) as strace:
            # strace is attached once its log names a call of the answer to this.
            for _ in range(1000):
                source.qmp.run_state()
                if log.exists() and log.stat().st_size:
                    break
            source.qmp.command("migrate", {"uri": uri})
            source.qmp.wait_migration("completed", timeout_s=60)
            strace.terminate()
            strace.wait(10)
        offered = {}
        for line in log.read_text().splitlines():
            call = _CALL.search(line)
            if call and int(call.group(2)) > 65536:
                buffers = int(call.group(1))
                offered[buffers // 2] = offered.get(buffers // 2, 0) + 1
        calls = sum(offered.values())
        assert calls > 0, "strace saw no large write:\n" + "\n".join(log.read_text().splitlines()[:20])
        small = sum(count for pages, count in offered.items() if pages < PAGES_PER_WRITE)
        # The tail of a batch, after a short write, may be smaller.
        whole = calls - small
        assert whole * PAGES_PER_WRITE * 4096 >= 1 << 20 and small <= calls // 2, offered
        largest = max(offered)
        assert largest >= PAGES_PER_WRITE, offered
        print(f"{calls} large writes, {whole} of them with at least {PAGES_PER_WRITE} pages, the largest with {largest}")


main()
