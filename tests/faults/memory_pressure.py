"""The destination's host has too little memory, as a memory cgroup has it: the kernel takes pages away again and again, which a migration
only feels as slowness, or kills the program in the middle of it, which the guest at the source does not feel."""

import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "network"))

# pylint: disable=wrong-import-position
from scene import MIB, End, Scene, end_of, run_cases, wait_for  # noqa: E402
from support import machines  # noqa: E402
from support.memory_group import MemoryGroup, is_in_memory  # noqa: E402

# The program takes some 10 MiB before the first page arrives.
APPEND = "working-set=24M rate=2000 pattern=random heartbeat-ms=20 fill=words"
LIMIT = 24 * MIB
ENDS_WITHIN_S = 10


def killed(here: Scene):
    group = MemoryGroup(here.workspace, "killed", LIMIT)
    here.start(has_destination=False)
    here.start_destination("first", within=group.inside())
    here.migrate()
    status = here.destination.process.wait_exit()
    assert (status, group.kills()) == (-signal.SIGKILL, 1), f"it ended with status {status}, the kernel killed {group.kills()}"
    end = wait_for(lambda: end_of(here.source), ENDS_WITHIN_S, "the end at the source")
    assert end in [End("running", "failed", code) for code in ("peer-closed", "io")], end
    here.check_guest_at_source()
    here.expect_moves_again()
    return f"the source says {end.code}, then it moved"


def squeezed(here: Scene):
    """Its memory is a file on a disk, to which the kernel can write what has no room."""
    if is_in_memory(here.workspace.directory):
        print("the folder for temporary files is on no disk here: the test is skipped", flush=True)
        sys.exit(machines.SKIPPED)
    group = MemoryGroup(here.workspace, "squeezed", LIMIT)
    here.start(has_destination=False)
    here.start_destination("first", within=group.inside(), memory_file=here.workspace.path("memory"))
    here.migrate()
    downtime_ms = here.expect_moved(limit_s=60)["downtime"]
    assert group.reclaims() > 0 and group.kills() == 0, f"{group.reclaims()} times reclaimed, {group.kills()} killed"
    return f"it moved, downtime {downtime_ms} ms; room had to be made {group.reclaims()} times"


run_cases(killed, squeezed, append=APPEND)
