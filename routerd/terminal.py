"""What a terminal takes: how many columns, whether colours, and no character that acts on it."""

import os
import unicodedata
from collections.abc import Callable
from typing import Final

MOST_COLUMNS: Final = 100
"""Longer lines are hard to read; also what is assumed where there is no terminal."""
LEAST_COLUMNS: Final = 40
"""A narrower terminal breaks the lines itself."""

BOLD: Final = "1"
RED: Final = "31"
GREEN: Final = "32"
YELLOW: Final = "33"

Paint = Callable[[str, str], str]
"""Gives a text a style, e.g. `paint("warning", YELLOW)`, where styles are wanted."""


def plain(text: str, style: str) -> str:
    """The text as it is."""
    return text


def coloured(text: str, style: str) -> str:
    """The text in a style."""
    return f"\x1b[{style}m{text}\x1b[0m"


def paint_for(fd: int) -> Paint:
    """`coloured` on a terminal that has colours, if the user wants them (https://no-color.org)."""
    has_colours = os.isatty(fd) and os.environ.get("TERM", "dumb") != "dumb"
    return coloured if has_colours and not os.environ.get("NO_COLOR") else plain


def columns_of(fd: int) -> int:
    """How long lines may be."""
    try:
        found = os.get_terminal_size(fd).columns
    except OSError:
        found = 0
    return max(LEAST_COLUMNS, min(found or MOST_COLUMNS, MOST_COLUMNS))


def printable(text: str) -> str:
    """The text with all escaped that would move a cursor, turn text around or can't be seen."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def wrapped(text: str, *, columns: int, lead: str, indent: int) -> list[str]:
    """Lines of at most `columns`: broken at spaces, and a longer word behind its slashes.

    Nothing is left out: what was not broken can be copied as it is.

    Args:
        text: what can't be split stays on a line of its own if it fits there.
        columns: most of each line.
        lead: begins the first line, and is never broken.
        indent: spaces before each further line.
    """
    lines, line, gap = [], lead, ""
    for word in text.split(" "):
        if _width(line + gap + word) <= columns:
            line += gap + word
        else:
            first, *others = _broken(word, columns - indent)
            if gap or _width(line + first) > columns:
                lines.append(line if gap else line.rstrip())
                line = " " * indent
            lines.append(line + first)
            lines += [" " * indent + part for part in others]
            line = lines.pop()
        gap = " "
    return [*lines, line]


def _broken(word: str, columns: int) -> list[str]:
    """The parts of a word that are short enough: cut behind a slash where there is one."""
    parts = []
    while _width(word) > columns:
        most = _reach(word, columns)
        cut = word.rfind("/", 0, most) + 1 or most
        parts.append(word[:cut])
        word = word[cut:]
    return [*parts, word]


def _reach(text: str, columns: int) -> int:
    """How many characters fit; one at least."""
    width = 0
    for index, char in enumerate(text):
        width += _width(char)
        if width > columns:
            return max(1, index)
    return len(text)


def _width(text: str) -> int:
    """The columns that a terminal takes for a text; Chinese and the like take two each."""
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )
