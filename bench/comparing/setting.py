"""What all measurements share: the programs, the memory files, the options, and what this machine is."""

import os
import pathlib
import platform
import shutil
import subprocess

from support import machines

ROOT = pathlib.Path(__file__).resolve().parents[2]
MIB = 1 << 20
GIB = 1 << 30
# What processes need besides the files.
RESERVE = 768 * MIB
MEMORY_FOLDER = pathlib.Path("/dev/shm")


def size_name(size):
    """2g, 64m: as rows are named."""
    return f"{size // GIB}g" if size % GIB == 0 else f"{size // MIB}m"


def size_text(size):
    return f"{size // GIB} GiB" if size % GIB == 0 else f"{size // MIB} MiB"


class Setting:
    """The options of a run; `folder` (of memory files) is there while something is measured."""

    def __init__(self, options, folder):
        build = pathlib.Path(options.build)
        self.quick = options.quick
        self.rounds = options.rounds
        self.sizes = options.sizes
        self.folder = folder
        self.source = folder / "source.ram"
        self.destination = folder / "destination.ram"
        self.bench_folder = build / "bench"
        self.bare_copy = build / "bench" / "bare_copy"
        self.godwit = build / "bin" / "godwit"
        self.guest = build / "guests" / "workload"

    def tool(self, *arguments):
        """What bare_copy prints."""
        done = subprocess.run([str(self.bare_copy), *map(str, arguments)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"bare_copy {' '.join(map(str, arguments))}: status {done.returncode} {done.stderr.strip()}")
        return done.stdout

    def fill_both(self, size):
        """Both memory files: all pages allocated, incompressible contents."""
        self.tool("fill", self.source, size)
        self.tool("fill", self.destination, size)

    def clear(self):
        """Removes what lies in the folder, so that the next measurement has the memory."""
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def programs_missing(self):
        return [str(path) for path in (self.godwit, self.bare_copy, self.guest) if not path.exists()]


def memory_free():
    """Bytes that files on the memory file system may take."""
    with open("/proc/meminfo", encoding="ascii") as file:
        available = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable:"))
    return min(available, shutil.disk_usage(MEMORY_FOLDER).free)


def first_line(command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0].strip()
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "not there"


def versions(setting):
    commit = first_line(["git", "-C", str(ROOT), "describe", "--always", "--dirty"])
    return {"godwit": f"{first_line([str(setting.godwit), '--version'])}, {commit}", "QEMU": first_line([machines.QEMU, "--version"])}


def machine_facts():
    model = "unknown"
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), model)
    return {"kernel": platform.release(), "architecture": platform.machine(), "cpu": model, "cores": os.cpu_count(),
            "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MIB, "kvm": machines.kvm_works()}
