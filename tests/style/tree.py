"""What the style tests share: the files of the tree, what they include, which of them changed, and a memory of what passed."""

import concurrent.futures
import hashlib
import os
import pathlib
import re
import subprocess
from collections.abc import Callable, Iterable

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE_FOLDERS = ("include", "src", "tests", "bench", "examples", "fuzz", "guests")
CODE_SUFFIXES = (".h", ".cpp", ".c")
LONG = os.environ.get("GODWIT_LONG") == "1"
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)


def files(folders: Iterable[str] = CODE_FOLDERS, suffixes: Iterable[str] = CODE_SUFFIXES) -> list[pathlib.Path]:
    found = (path for folder in folders for path in (ROOT / folder).rglob("*")
             if path.suffix in suffixes and path.is_file() and "__pycache__" not in path.parts)
    return sorted(found)


def name(path: pathlib.Path) -> str:
    return str(path.relative_to(ROOT))


def includes(text: str) -> list[tuple[str, str]]:
    """Pairs of the opening mark (quote or angle bracket) and the name."""
    return INCLUDE.findall(text)


def closure(path: pathlib.Path) -> set[pathlib.Path]:
    """The file and everything of this tree that it includes, directly or not."""
    seen: set[pathlib.Path] = set()
    todo = [path]
    while todo:
        current = todo.pop()
        if current in seen:
            continue
        seen.add(current)
        for _, included in includes(current.read_text()):
            for base in (ROOT / "include", ROOT / "src", ROOT / "tests", ROOT, current.parent):
                if (base / included).is_file():
                    todo.append(base / included)
                    break
    return seen


def git(*arguments: str) -> str | None:
    # The checkout may belong to another user than the one who runs the tests (a container): reading it is harmless.
    try:
        done = subprocess.run(["git", "-c", "safe.directory=*", "-C", str(ROOT), *arguments],
                              capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def changed() -> set[pathlib.Path] | None:
    """What differs from origin/main; on main itself, what the last commit changed. None where that cannot be known."""
    head = (git("rev-parse", "HEAD") or "").strip()
    base = (git("merge-base", "HEAD", "origin/main") or "").strip()
    if not base or base == head:
        base = (git("rev-parse", "--verify", "--quiet", "HEAD~1") or "").strip()
    listed = git("diff", "--name-only", base) if base else None
    if listed is None:
        return None
    listed += git("ls-files", "--others", "--exclude-standard") or ""
    return {ROOT / line for line in listed.splitlines()}


class Memory:
    """Remembers across runs which contents have passed a check, so that only what is new costs time."""

    def __init__(self, check: str, salt: str) -> None:
        self.folder = ROOT / "build" / "style" / check
        self.folder.mkdir(parents=True, exist_ok=True)
        self.salt = salt

    def _mark(self, path: pathlib.Path) -> pathlib.Path:
        digest = hashlib.sha256((self.salt + name(path)).encode())
        for part in sorted(closure(path)):
            digest.update(name(part).encode() + b"\0" + part.read_bytes())
        return self.folder / digest.hexdigest()

    def has(self, path: pathlib.Path) -> bool:
        return self._mark(path).exists()

    def add(self, path: pathlib.Path) -> None:
        self._mark(path).touch()


def tool(program: str) -> str:
    """The version that Debian 12 has, where several are installed: others format and complain differently."""
    for candidate in (f"{program}-14", program):
        if subprocess.run(["which", candidate], capture_output=True, check=False).returncode == 0:
            return candidate
    raise SystemExit(f"{program} is missing: scripts/install.sh check installs it")


def run_each(paths: list[pathlib.Path], job: Callable[[pathlib.Path], str | None]) -> list[str]:
    """Runs `job` for each file on all processors; it returns a complaint or None."""
    workers = min(os.cpu_count() or 1, 8)
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return [complaint for complaint in pool.map(job, paths) if complaint]


def finish(complaints: list[str], checked: str) -> int:
    for complaint in complaints:
        print(complaint)
    print(f"{checked}: {len(complaints) or 'no'} complaint{'s' if len(complaints) != 1 else ''}")
    return 1 if complaints else 0
