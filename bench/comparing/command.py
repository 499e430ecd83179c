"""The command line of bench/compare."""

import argparse
import datetime
import pathlib
import shutil
import signal
import sys
import tempfile

from . import engine, plots, rows, setting, table
from .document import Document

DOCUMENT = "compare.json"
TABLE = "compare.md"
SIZES = [2 * setting.GIB, 8 * setting.GIB]
QUICK_SIZES = [64 * setting.MIB]
ROUNDS = 5
# As a shell tells of a program that SIGINT ended.
INTERRUPTED = 130


def size(text):
    units = {"M": setting.MIB, "G": setting.GIB}
    if not text[:-1].isdigit() or text[-1] not in units or int(text[:-1]) == 0:
        raise argparse.ArgumentTypeError(f"{text} is not a size like 512M or 2G")
    return int(text[:-1]) * units[text[-1]]


def positive(text):
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number of rounds")
    return int(text)


def parse(arguments):
    parser = argparse.ArgumentParser(prog="compare", description="Runs godwit and QEMU in turn on the same work, and prints one table.",
                                     epilog="bench/README.md says how each row is measured.")
    parser.add_argument("--rows", nargs="+", metavar="NAME", default=[], help="only these; a beginning like ram-tcp, or a pattern like '*-2g'")
    parser.add_argument("--rounds", type=positive, help=f"how often each party does each work ({ROUNDS}; with --quick 1)")
    parser.add_argument("--sizes", type=size, nargs="+", metavar="SIZE", help="memory of the rows that name it (2G 8G; with --quick 64M)")
    parser.add_argument("--quick", action="store_true", help="small sizes and one round: to see that everything works, not to compare")
    parser.add_argument("--list", action="store_true", help="print the rows' names and end")
    parser.add_argument("--build", type=pathlib.Path, default=setting.ROOT / "build" / "release", help="the build directory")
    parser.add_argument("--output-folder", type=pathlib.Path,
                        help=f"for {DOCUMENT}, {TABLE} and the plots (docs/bench; with --quick compare in the build directory)")
    parser.add_argument("--merge", type=pathlib.Path, metavar="FILE.json", help="keep this document's rows, except those that are measured now")
    parser.add_argument("--render", type=pathlib.Path, metavar="FILE.json", help="measure nothing: table and plots of this document")
    options = parser.parse_args(arguments)
    options.sizes = sorted(set(options.sizes or (QUICK_SIZES if options.quick else SIZES)))
    options.rounds = options.rounds or (1 if options.quick else ROUNDS)
    options.output_folder = options.output_folder or (options.build / "compare" if options.quick else setting.ROOT / "docs" / "bench")
    return options


def publish(document, folder, order):
    """Writes the document, the table and the plots, and prints the table."""
    folder.mkdir(parents=True, exist_ok=True)
    document.sort(order)
    document.write(folder / DOCUMENT)
    text = table.render(document)
    (folder / TABLE).write_text(f"# godwit and QEMU side by side\n\nWritten by `bench/compare`; `bench/README.md` says how it is measured.\n\n{text}",
                                encoding="utf-8")
    for name, image in plots.draw(document).items():
        (folder / name).write_text(image, encoding="utf-8")
    print(text, end="")


def measure(works, here, document, output_folder):
    """Measures into the document; the exit status."""
    date = datetime.datetime.now(datetime.timezone.utc).isoformat(sep=" ", timespec="milliseconds")
    document.runs[date] = {"machine": setting.machine_facts(), "versions": setting.versions(here), "rounds": here.rounds, "quick": here.quick}
    failed = []
    output_folder.mkdir(parents=True, exist_ok=True)

    def keep(records):
        document.add(records, date)
        document.write(output_folder / DOCUMENT)

    def leave_out(work, reason, is_failure):
        print(f"left out: {', '.join(work.names)}: {reason}", file=sys.stderr, flush=True)
        document.leave_out(work.names, reason)
        if is_failure:
            failed.append(work)

    engine.run(works, here, keep, leave_out)
    return 1 if failed else 0


def interrupt(_number, _frame):
    raise KeyboardInterrupt


def main(arguments=None):
    options = parse(arguments)
    all_works = rows.works(options.sizes, options.quick)
    order = [name for work in all_works for name in work.names]
    if options.list:
        print("\n".join(order))
        return 0
    document = Document()
    try:
        if options.render or options.merge:
            document.merge(Document.read(options.render or options.merge))
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"compare: cannot read {options.render or options.merge}: {error}", file=sys.stderr)
        return 2
    if options.render:
        publish(document, options.output_folder, order)
        return 0
    works, unknown = rows.select(all_works, options.rows)
    if unknown:
        print(f"compare: no row is called {', '.join(unknown)}; --list names them", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, interrupt)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="godwit-bench-", dir=setting.MEMORY_FOLDER))
    try:
        here = setting.Setting(options, folder)
        if missing := here.programs_missing():
            print(f"compare: {', '.join(missing)} missing: build first (scripts/build.sh release -DGODWIT_BENCH=ON), or say --build",
                  file=sys.stderr)
            return 2
        status = measure(works, here, document, options.output_folder)
    except KeyboardInterrupt:
        print("interrupted: what was measured until now follows", file=sys.stderr)
        status = INTERRUPTED
    finally:
        # Whoever is impatient must not end this.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        shutil.rmtree(folder)
    if document.records:
        publish(document, options.output_folder, order)
    return status
