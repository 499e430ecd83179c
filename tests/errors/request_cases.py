"""Codes that a command line or a single request leads to."""

import os

from ground import SIZE_MIB, assert_unharmed, fails, failed, refuses, start_slowly


def invalid_argument(ground):
    return ground.run("run", "--machine", "none", "--memory", "3x", status=2, names=["'3x'"])


def unsupported(ground):
    """A migration into the wrong end of a pipe."""
    source = ground.source()
    reading, writing = os.pipe()
    try:
        source.qmp.pass_fd("wrong-end", reading)
        told = refuses(source, "migrate", {"uri": "fd:wrong-end"}, "wrong-end", "writing")
    finally:
        os.close(reading)
        os.close(writing)
    assert_unharmed(source)
    return told


def busy(ground):
    source = ground.source()
    start_slowly(source)
    told = refuses(source, "migrate", {"uri": "exec:true"}, "migration process in progress")
    source.qmp.command("migrate_cancel")
    source.qmp.wait_migration("cancelled")
    assert_unharmed(source)
    return told


def wrong_state(ground):
    source = ground.source()
    told = refuses(source, "migrate-incoming", {"uri": "tcp:127.0.0.1:0"}, "-incoming", "defer")
    assert_unharmed(source)
    return told


def not_found(ground):
    source = ground.source()
    told = refuses(source, "migrate", {"uri": "fd:nobody"}, "'nobody'", "getfd")
    assert_unharmed(source)
    return told


def cancelled(ground):
    source = ground.source()
    start_slowly(source)
    source.qmp.command("migrate_cancel")
    return failed(source, "cancelled", status="cancelled")


def io(ground):
    return fails(ground.source(), "file:/dev/full", "/dev/full", "No space left")


def child_failed(ground):
    return fails(ground.source(), "exec:exit 3", "'exit ...'", "3")


def memory(ground):
    path = ground.workspace.path("absent") / "memory"
    return ground.run("run", "--machine", "none", "--memory", f"{SIZE_MIB}M", "--memory-file", path, status=1, names=[path, "No such file"])


def disk(ground):
    path = ground.workspace.path("absent")
    return ground.run("run", "--machine", "none", "--memory", f"{SIZE_MIB}M", "--disk", f"id=d0,file={path}", status=1,
                      names=[path, "No such file"])


CASES = {"invalid-argument": invalid_argument, "unsupported": unsupported, "busy": busy, "wrong-state": wrong_state, "not-found": not_found,
         "cancelled": cancelled, "io": io, "child-failed": child_failed, "memory": memory, "disk": disk}
