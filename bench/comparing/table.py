"""The table, in Markdown."""

import math
import statistics

from .records import FRESH, GODWIT, MAIN, PEERS, QEMU

HEAD = ("| row | what | godwit | QEMU | bare copy or memory | ratio | aim | reached |", "|---|---|---:|---:|---:|---:|---|---|")
TITLES = {MAIN: "Median (smallest to greatest), in turns", FRESH: "The same to a destination whose memory is not allocated before"}
REACHED = {True: "yes", False: "**no**", None: ""}


def number(value):
    """Three digits that say something."""
    if value is None or math.isinf(value):
        return "∞"
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 4)}f}"


def cell(record, party):
    values = record.values.get(party)
    if not values:
        return ""
    ended = [value for value in values if value is not None]
    if not ended:
        return f"none of {len(values)} ended"
    text = f"{number(statistics.median(ended))} {record.unit}"
    if len(ended) > 1:
        text += f" ({number(min(ended))} to {number(max(ended))})"
    if len(ended) < len(values):
        text += f", {len(ended)} of {len(values)} ended"
    return text


def row(record):
    others = "; ".join(f"{cell(record, party)} {party}" for party in record.values if party not in PEERS)
    ratios = [number(ratio) if aim.against and aim.kind != "ends" and (ratio := record.ratio(aim)) is not None and not math.isnan(ratio)
              else "–" for aim in record.aims]
    aims = "; ".join(aim.text for aim in record.aims)
    reached = "; ".join(REACHED[record.reached(aim)] for aim in record.aims)
    what = "; ".join([record.what, *record.notes])
    cells = (record.name, what, cell(record, GODWIT), cell(record, QEMU), others, "; ".join(ratios), aims, reached)
    return "| " + " | ".join(cells) + " |"


def run_line(date, run, names):
    machine = run["machine"]
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_mib'] / 1024:.0f} GiB, Linux {machine['kernel']}"
    versions = ", ".join(run["versions"].values())
    quick = ", **quick: for trying out, not for comparing**" if run["quick"] else ""
    return f"- {date}: {versions}; {where}; rounds: {run['rounds']}{quick}. Rows: {', '.join(names)}."


def render(document):
    lines = []
    for table, title in TITLES.items():
        records = [record for record in document.records.values() if record.table == table]
        if records:
            lines += [f"{title}:", "", *HEAD, *map(row, records), ""]
    if document.left_out:
        reasons = {}
        for name, reason in document.left_out.items():
            reasons.setdefault(reason, []).append(name)
        lines += ["Left out:", "", *(f"- {', '.join(names)}: {reason}" for reason, names in reasons.items()), ""]
    lines += ["Measured:", ""]
    for date, run in document.runs.items():
        names = [record.name for record in document.records.values() if record.run == date]
        if names:
            lines.append(run_line(date, run, names))
    return "\n".join(lines) + "\n"
