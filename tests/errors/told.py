"""What was said about an error: by a program on its standard error, by QMP, by query-migrate."""

import re
import typing

PRINTED = re.compile(r"^godwit: (?P<message>.+) \[(?P<code>[a-z-]+)\]\n  (?P<hint>\S.*)$", re.MULTILINE)


class Told(typing.NamedTuple):
    """`names`: what is at fault, which the message or the hint has to name."""

    code: str
    message: str
    hint: str
    names: tuple

    def check(self, code):
        assert self.code == code, f"{self.code} instead of {code}: {self}"
        assert self.message and self.hint, f"without message or hint: {self}"
        both = f"{self.message}\n{self.hint}"
        missing = [str(name) for name in self.names if str(name) not in both]
        assert not missing, f"{missing} not named: {self}"


def by_program(stderr, *names):
    """The one error that a godwit has printed."""
    errors = list(PRINTED.finditer(stderr))
    assert len(errors) == 1, f"{len(errors)} errors with code and hint in: {stderr}"
    return Told(errors[0]["code"], errors[0]["message"], errors[0]["hint"], names)


def by_migration(figures, *names):
    """The error of a migration that is over."""
    return Told(figures.get("x-godwit-error-code"), figures.get("error-desc"), figures.get("x-godwit-error-hint"), names)


def by_qmp(error, *names):
    """The refusal of a command (a QmpError)."""
    return Told(error.members.get("x-godwit-error-code"), error.description, error.members.get("x-godwit-hint"), names)
