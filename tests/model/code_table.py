"""The code's table of transitions and its steps, read from its sources; and what the model has of them.

The readers fail loudly when the sources no longer have the shape they know.
"""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = pathlib.Path(__file__).resolve().parent
TABLE = ROOT / "src" / "migration" / "state_table.cpp"
STATES = ROOT / "include" / "godwit" / "migration_state.h"

Transition = tuple[str, str]

ENTRY = re.compile(r"\{(\w+), (\w+)\},")
COMMENT = re.compile(r"//.*")
# transition(SIDE, from, to), wherever it is used.
USE = re.compile(r"\btransition\s*\(\s*(\w+)\s*,\s*(\w+)\s*,\s*(\w+)\s*\)")
STEP_USE = re.compile(r"\bstep\((\w+)\)")


class ShapeError(Exception):
    """A source is not written as it was when this was."""


def enumerators(text: str, name: str) -> list[str]:
    found = re.search(rf"^enum class {name} \{{\n(.*?)^\}};", text, re.MULTILINE | re.DOTALL)
    if not found:
        raise ShapeError(f"no enumeration {name}")
    names = []
    for line in found.group(1).splitlines():
        entry = re.fullmatch(r"\s*(\w+),\s*", COMMENT.sub("", line))
        if not entry:
            raise ShapeError(f"enumeration {name}: {line.strip()}")
        names.append(entry.group(1))
    return names


def table(text: str, states: list[str]) -> set[Transition]:
    """The entries of `transitions` in state_table.cpp: as many as it says, one on each line, no other text."""
    found = re.search(r"^constexpr std::array<Transition, (\d+)> transitions\{\{\n(.*?)^\}\};", text,
                      re.MULTILINE | re.DOTALL)
    if not found:
        raise ShapeError("no array of transitions")
    entries = []
    for line in found.group(2).splitlines():
        entry = ENTRY.fullmatch(COMMENT.sub("", line).strip())
        if not entry:
            raise ShapeError(f"the array of transitions: {line.strip()}")
        entries.append(entry.groups())
    if len(entries) != int(found.group(1)) or len(set(entries)) != len(entries):
        raise ShapeError(f"the array of transitions: {len(entries)} entries, not {found.group(1)}, or some of them twice")
    for name in sorted({name for entry in entries for name in entry} - set(states)):
        raise ShapeError(f"the array of transitions: {name} is no state")
    return set(entries)


def model_text() -> dict[str, str]:
    """The model's files without comments and without the definitions of its two words."""
    texts = {}
    for path in sorted(FOLDER.glob("*.pml")):
        text = re.sub(r"/\*.*?\*/", " ", path.read_text(), flags=re.DOTALL)
        texts[path.name] = re.sub(r"^#define (?:transition|step)\((?:.*\\\n)*.*$", "", text, flags=re.MULTILINE)
    return texts


def model_states(texts: dict[str, str]) -> list[str]:
    found = re.search(r"mtype:migration = \{([^}]*)\}", texts["states.pml"])
    if not found:
        raise ShapeError("states.pml: no list of states")
    return [name.strip().removeprefix("st_") for name in found.group(1).split(",")]


def model_transitions(texts: dict[str, str]) -> set[tuple[str, str, str]]:
    """(side, from, to) of each use. Nothing else may set a state."""
    for name, text in texts.items():
        if name != "states.pml" and re.search(r"\bstate\s*\[\w+\]\s*=(?!=)", text):
            raise ShapeError(f"{name} sets a state without transition()")
        if len(USE.findall(text)) != len(re.findall(r"\btransition\b", text)):
            raise ShapeError(f"{name} uses transition() in a way that is not understood")
    return {use for text in texts.values() for use in USE.findall(text)}


def model_steps(texts: dict[str, str]) -> set[str]:
    return {name for text in texts.values() for name in STEP_USE.findall(text)}


def compare(code: set[Transition], model: set[tuple[str, str, str]], taken: set[tuple[str, str, str]],
            left_out: dict[Transition, str]) -> list[str]:
    """The complaints. `taken`: those of the model that some search has taken; `left_out`: those of the code that the model
    has not, each with its reason."""
    modelled = {(a, b) for _, a, b in model}
    complaints = [f"the model makes a transition that the code does not allow: {a} to {b}"
                  for a, b in sorted(modelled - code)]
    complaints += [f"the code allows a transition that the model does not have: {a} to {b}"
                   for a, b in sorted(code - modelled - set(left_out))]
    complaints += [f"listed as left out, but in the model: {a} to {b}" for a, b in sorted(set(left_out) & modelled)]
    complaints += [f"listed as left out, but not in the code: {a} to {b}" for a, b in sorted(set(left_out) - code)]
    complaints += [f"in the model, but never taken: {side}, {a} to {b}" for side, a, b in sorted(model - taken)]
    return complaints
