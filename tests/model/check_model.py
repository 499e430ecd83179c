#!/usr/bin/env python3
"""The model of the handover, checked: check_model.py WORK PART...

PART is a pairing (godwit-godwit, godwit-qemu, qemu-godwit), `exceptions` (without any one of the assumptions two sides
must come to hold the guest), `defects` (each one must be found), or `transitions` (the model's are the code's; after all
pairings).
"""

import dataclasses
import json
import pathlib
import re
import subprocess
import sys
import time

import code_table
import spin

# How each pairing is asked for.
PAIRINGS = {"godwit-godwit": [], "godwit-qemu": ["QEMU_DESTINATION"], "qemu-godwit": ["QEMU_SOURCE"]}

# What an error of the verifier means.
TWO = "two that hold the guest"
UNLISTED = "an outcome that no table lists"
ENDLESS = "a run that does not end"
UNREACHED = "a listed outcome that is never reached"

# Transitions of the code that the model does not have.
AGAIN = "the model is of one attempt: a later one begins with what an ended one leaves"
LEFT_OUT = {("completed", "setup"): AGAIN, ("failed", "setup"): AGAIN, ("cancelled", "setup"): AGAIN}


@dataclasses.dataclass
class Variant:
    """A change of the model, and what has to be found in it; `shortest`: by the shortest run, which is shown."""

    name: str
    pairing: str
    define: str
    finds: str
    shortest: bool = False


EXCEPTIONS = [
    Variant("a cancel at the QEMU after SHUT(0), before the end of its stream", "qemu-godwit", "QEMU_CANCEL_AFTER_SHUT",
            TWO, True),
    Variant("force while the other side's migration goes on", "godwit-godwit", "HASTY_OPERATOR", TWO),
]
DEFECTS = [
    Variant("the source resumes after COMMIT", "godwit-godwit", "DEFECT_RESUME_AFTER_COMMIT", TWO),
    Variant("the source resumes after the end byte", "godwit-qemu", "DEFECT_RESUME_AFTER_COMMIT", TWO),
    Variant("the destination runs before COMMIT", "godwit-godwit", "DEFECT_RUN_BEFORE_COMMIT", TWO),
    Variant("COMMIT before the state that refuses a cancel", "godwit-godwit", "DEFECT_COMMIT_BEFORE_STATE", TWO),
    Variant("the destination runs before SHUT(0)", "qemu-godwit", "DEFECT_RUN_BEFORE_SHUT", TWO),
    Variant("the destination runs after a reset", "qemu-godwit", "DEFECT_RUN_AFTER_RESET", TWO),
    Variant("no deadline for COMMIT", "godwit-godwit", "DEFECT_NO_DEADLINE", ENDLESS),
    Variant("the destination exits where the owner is unknown", "godwit-godwit", "DEFECT_EXIT_WHEN_UNKNOWN", UNLISTED),
    Variant("the source believes a failure that QEMU reports after the end byte", "godwit-qemu", "DEFECT_FAILURE_BELIEVED", TWO),
]


def listed_outcomes(defines: list[str]) -> set[str]:
    """The rows of outcomes.pml for a pairing: what the preprocessor leaves of them."""
    text = subprocess.run([spin.tool("gcc"), "-E", "-P", "-x", "c", *(f"-D{define}" for define in defines),
                           str(code_table.FOLDER / "outcomes.pml")], capture_output=True, text=True, check=True).stdout
    rows = re.findall(r'note\("outcome " "(\w+)" " " "(\w+)" " " "(\w+)"\)', text)
    if not rows or len(rows) != len(set(rows)) or len(rows) != text.count('note("outcome'):
        raise code_table.ShapeError(f"outcomes.pml: {len(rows)} rows, or some of them twice, or in another shape")
    return {" ".join(row) for row in rows}


def outcomes(found: spin.Search) -> set[str]:
    return {note.removeprefix("outcome ") for note in found.notes if note.startswith("outcome ")}


def meaning(found: spin.Search) -> str:
    if not found.error:
        return ""
    if TWO in found.run:
        return TWO
    if UNLISTED in found.run:
        return UNLISTED
    return ENDLESS if found.error in ("invalid end state", "non-progress cycle") else found.error


def complain(found: spin.Search) -> list[str]:
    return [f"{found.name}: {meaning(found)}", *(f"    {line}" for line in found.run)] if found.error else []


def check_pairing(name: str, work: pathlib.Path) -> list[str]:
    defines = PAIRINGS[name]
    states = spin.search(name, work, defines)
    spin.tell(states)
    ends = spin.search(f"{name}.ends", work, defines, cycles=True)
    spin.tell(ends)
    listed = listed_outcomes(defines)
    reached = outcomes(states)
    complaints = complain(states) + complain(ends)
    complaints += [f"{name}: no run leads to the listed outcome: {row}" for row in sorted(listed - reached)]
    complaints += [f"{name}: an outcome that is not listed: {row}" for row in sorted(reached - listed)]
    nowhere = sorted(row for row in reached if "holds" not in row.split())
    print(f"{name}: {len(listed & reached)} of {len(listed)} listed outcomes reached; in {len(nowhere)} of them nobody "
          "holds the guest (how far, source, destination):\n    " + "\n    ".join(nowhere))
    (work / f"{name}.json").write_text(json.dumps(sorted(states.notes)))
    return complaints


def check_variant(variant: Variant, work: pathlib.Path) -> list[str]:
    defines = [*PAIRINGS[variant.pairing], variant.define]
    if variant.finds == TWO:
        defines.append("ONLY_TWO_GUESTS")  # other errors may come first
    found = spin.search(f"{variant.define.lower()}.{variant.pairing}", work, defines, shortest=variant.shortest)
    what = meaning(found)
    if not what and outcomes(found) < listed_outcomes(PAIRINGS[variant.pairing]):
        what = UNREACHED
    print(f"{variant.pairing}, {variant.name}: {what or 'no error'} ({found.figures()})")
    if variant.shortest:
        print("".join(f"    {line}\n" for line in found.run), end="")
    sys.stdout.flush()
    if what == variant.finds:
        return []
    return [f"{variant.name} ({variant.pairing}, -D{variant.define}): expected to find: {variant.finds}", *complain(found)]


def check_variants(variants: list[Variant], work: pathlib.Path) -> list[str]:
    return [complaint for variant in variants for complaint in check_variant(variant, work)]


def check_transitions(work: pathlib.Path) -> list[str]:
    texts = code_table.model_text()
    header = code_table.STATES.read_text()
    states = code_table.enumerators(header, "MigrationState")
    code = code_table.table(code_table.TABLE.read_text(), states)
    model = code_table.model_transitions(texts)
    notes = [note.split() for name in PAIRINGS for note in json.loads((work / f"{name}.json").read_text())]
    taken = {tuple(note[1:]) for note in notes if note[0] == "transition"}
    complaints = code_table.compare(code, model, taken, LEFT_OUT)
    if code_table.model_states(texts) != states:
        complaints.append("states.pml has other states than include/godwit/migration_state.h")
    steps = set(code_table.enumerators(header, "HandoverStep"))
    complaints += [f"only the code, or only the model, has the step {name}"
                   for name in sorted(steps ^ code_table.model_steps(texts))]
    reached = {note[1] for note in notes if note[0] == "step"}
    complaints += [f"no search reaches the step {name}" for name in sorted(steps - reached)]
    print(f"{len(code)} transitions in the code, {len({use[1:] for use in model})} in the model: {len(model & taken)} of "
          f"{len(model)} taken, each side counted by itself; {len(steps)} steps")
    for (a, b), reason in LEFT_OUT.items():
        print(f"left out: {a} to {b}: {reason}")
    return complaints


def main() -> int:
    work = pathlib.Path(sys.argv[1]).resolve()
    work.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    complaints = []
    for part in sys.argv[2:]:
        try:
            if part in PAIRINGS:
                complaints += check_pairing(part, work)
            elif part in ("exceptions", "defects"):
                complaints += check_variants(EXCEPTIONS if part == "exceptions" else DEFECTS, work)
            elif part == "transitions":
                complaints += check_transitions(work)
            else:
                complaints.append(f"unknown: {part}")
        except (spin.SpinError, code_table.ShapeError, subprocess.TimeoutExpired, FileNotFoundError) as error:
            complaints.append(f"{part}: {error}")
    for complaint in complaints:
        print(complaint)
    print(f"{', '.join(sys.argv[2:])}: {'failed' if complaints else 'fine'}, {time.monotonic() - begun:.1f} s")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
