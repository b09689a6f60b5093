"""What is found wrong with a routing table while it is read: collected, and put into words."""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from routerd.problems import Problem

KeyPath = tuple[str | int, ...]
"""How to get to a value of the file: keys of tables and indexes of arrays."""

_LONGEST_SHOWN = 80
_MOST_LISTED = 14
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]{0,79})\}")


@dataclass
class Findings:
    """Every problem and every warning of one file, with the lines they belong to.

    Attributes:
        line_of: the line of a key, a table or an element, or of what is around it.
    """

    line_of: Callable[[KeyPath], int]
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def problem(self, path: KeyPath, sentence: str) -> None:
        """Records what keeps the table from being run."""
        self.problems.append(Problem(self.line_of(path), _on_one_line(sentence)))

    def warn(self, path: KeyPath, sentence: str) -> None:
        """Records what the author should know."""
        self.warnings.append(Problem(self.line_of(path), _on_one_line(sentence)))


def quoted(value: object) -> str:
    """A value of the table as sentences show it: on one line, and not too much of it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list):
        return kind_of(value)
    if isinstance(value, str):
        text = json.dumps(value[: _LONGEST_SHOWN + 1], ensure_ascii=False)
    else:
        text = "a long number" if _is_long(value) else str(value)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + '..."'


def kind_of(value: object) -> str:
    """What a value of the file is, in words."""
    match value:
        case bool():
            return quoted(value)
        case str() | int() | float():
            return ("the text " if isinstance(value, str) else "the number ") + quoted(value)
        case Mapping():
            return "a table"
        case list():
            return "a list"
        case _:
            return "a date or a time"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean ...?` for the nearest known word, empty if none is near."""
    near = nearest(word, known)
    return f"; did you mean `{near}`?" if near else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that a slip of the finger makes this one of, if there is one."""
    if len(word) > _LONGEST_SHOWN:
        return None
    near = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.65)
    return near[0] if near else None


def listed(words: Iterable[str], *, mark: str = "`") -> str:
    """Words in a row, the last after `and`; of many only the first."""
    marked = [f"{mark}{word}{mark}" for word in words]
    if len(marked) > _MOST_LISTED:
        return ", ".join(marked[:_MOST_LISTED]) + ", ..."
    return " and ".join(filter(None, [", ".join(marked[:-1]), *marked[-1:]]))


def named_variable(text: str) -> str:
    """The variable of the environment that a text hopes to be filled from; empty without one."""
    if "@" in text:
        return ""  # what looks like a variable may be part of a password
    match = _VARIABLE.search(text)
    return match[1] if match else ""


def unfilled(variable: str) -> str:
    """What to say of `${NAME}` in a value, and to write instead."""
    return (
        f"has the variable {variable} in it, which routerd does not fill in; write "
        f'{{ env = "{variable}" }} for the whole value'
    )


def _is_long(value: object) -> bool:
    return isinstance(value, int) and abs(value) >= 10**_LONGEST_SHOWN


def _on_one_line(sentence: str) -> str:
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in sentence)
