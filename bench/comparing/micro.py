"""Rows of parts that are measured within one program, beside what memory allows: the search for zeros, deltas, and the dirty bitmap."""

import json
import statistics
import subprocess

from .engine import Work
from .records import GODWIT, Record, at_most, times_better

READ = "memory read"
MEMCPY = "memcpy"
TIMEOUT_S = 600


class Micro(Work):
    """A program of Google Benchmark's that takes turns with its yardstick by itself, once per round."""

    parties = (GODWIT,)
    program = ""
    # Which of its benchmarks.
    pattern = ""

    def measure(self, setting, party):
        """From the benchmarks' names to their counters."""
        done = subprocess.run([str(setting.bench_folder / self.program), f"--benchmark_filter={self.pattern}", "--benchmark_format=json"],
                              capture_output=True, text=True, check=True, timeout=TIMEOUT_S)
        # BENCHMARK_CAPTURE puts the function's name in front.
        found = {one["name"].split("/iterations")[0].removeprefix("find_dirty_pages/"): one for one in json.loads(done.stdout)["benchmarks"]}
        errors = [f"{name}: {one['error_message']}" for name, one in found.items() if one.get("error_occurred")]
        if errors or not found:
            raise RuntimeError(f"{self.program}: {'; '.join(errors) or 'measures nothing'}")
        return found


def counters(samples, name, member):
    return [one[name][member] for one in samples[GODWIT]]


class ZeroScan(Micro):
    program = "zero_page_bench"
    pattern = "chosen"
    names = ("zero-scan",)

    def records(self, samples):
        name = next(iter(samples[GODWIT][0]))
        values = {GODWIT: counters(samples, name, "scan_GB/s"), READ: counters(samples, name, "read_GB/s")}
        return [Record(self.names[0], "search for zero pages, 512 MiB of zeros", "GB/s", values, [times_better(0.7, READ)], better="higher")]


class Deltas(Micro):
    """XBZRLE, with the widest registers that this processor has."""

    program = "xbzrle_bench"
    pattern = "."

    def __init__(self, quick):
        self.changed = (64,) if quick else (1, 8, 64, 512)
        self.pattern = "/64/" if quick else "."
        self.names = tuple(f"xbzrle-{what}-{changed}" for changed in self.changed for what in ("encode", "decode"))

    def records(self, samples):
        # The last is the widest.
        kind = list(samples[GODWIT][0])[-1].split("/")[0]
        result = []
        for changed in self.changed:
            name = f"{kind}/{changed}"
            saved = statistics.median(counters(samples, name, "saved"))
            for what in ("encode", "decode"):
                rates = counters(samples, name, f"{what}_GB/s")
                ratios = counters(samples, name, f"{what}_ratio")
                values = {GODWIT: rates, MEMCPY: [rate / ratio for rate, ratio in zip(rates, ratios)]}
                result.append(Record(f"xbzrle-{what}-{changed}", f"XBZRLE, {what}, {changed} bytes changed per page, {kind}", "GB/s", values,
                                     better="higher", notes=[f"{100 * saved:.1f} % of the bytes saved"]))
        return result


class BitmapScan(Micro):
    program = "bitmap_bench"
    pattern = "."
    # From a row's name to the benchmark's.
    CASES = {"0": "random/0", "0.1-random": "random/1000", "0.1-clustered": "clustered/1000", "1-random": "random/10000",
             "1-clustered": "clustered/10000", "10-random": "random/100000", "10-clustered": "clustered/100000", "100": "random/1000000"}

    def __init__(self, quick):
        self.cases = {name: case for name, case in self.CASES.items() if not quick or name.startswith("0")}
        self.pattern = "/0/|/1000/" if quick else "."
        self.names = tuple(f"bitmap-scan-{name}" for name in self.cases)

    def records(self, samples):
        result = []
        for (name, case), row in zip(self.cases.items(), self.names):
            percent, _, spread = name.partition("-")
            values = {GODWIT: counters(samples, case, "scan_ms"), READ: counters(samples, case, "read_ms")}
            variants = {member: counters(samples, case, f"{member}_ms") for member in ("find", "collect")}
            said = ", ".join(f"{member} {statistics.median(found):.3g} ms" for member, found in variants.items())
            aims = [at_most(20, "ms")] if percent == "0.1" else []
            what = f"the saver's pass over 1 TiB of pages, {percent} % dirty{', ' + spread if spread else ''}"
            result.append(Record(row, what, "ms", values, aims, notes=[said], variants=variants))
        return result


def works(quick):
    return [ZeroScan(), Deltas(quick), BitmapScan(quick)]
