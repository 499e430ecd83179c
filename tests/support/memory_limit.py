"""Processes that may lock little memory."""

import os
import subprocess

IPC_LOCK = 1 << 14


def limited(limit_mib):
    """Begins a command that runs without CAP_IPC_LOCK and may lock so much."""
    return ["prlimit", f"--memlock={limit_mib << 20}", "setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock", "--ambient-caps=-all"]


def why_impossible(limit_mib=1):
    """None where a process can be limited."""
    if sanitizer := os.environ.get("GODWIT_TEST_SANITIZER"):
        return f"{sanitizer} lets mlock() succeed and do nothing"
    try:
        status = subprocess.run([*limited(limit_mib), "cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no process can be limited here: {error}"
    effective = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), 16)
    return "CAP_IPC_LOCK cannot be given up here" if effective & IPC_LOCK else None
