"""From a file to TOML values with their lines, or to a sentence on why not."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tomli

from routerd.config.lines import Lines, TooDeepError, index_lines
from routerd.errors import ConfigError
from routerd.problems import Problem

LONGEST = 16 << 20
"""Bytes; ten thousand routes are 2 MiB."""

_TWICE = "this key is in its table already; remove one of the two"
_TABLE_TWICE = "{0} is written twice; put all of its keys under one of them"
_STATEMENT = (
    "a line is a [header], a key = value or a # comment; a key that begins with a dot, an @ or a "
    "brace needs quotes"
)
_HEADER = "a [table] header ends in a bracket; a name with a space or a colon needs quotes"
_FRIENDLY = {
    "Cannot overwrite": _TWICE,
    "Duplicate inline table key": _TWICE,
    "Cannot declare": _TABLE_TWICE,
    "Cannot redefine": _TABLE_TWICE,
    "Cannot mutate": "{0} is complete where it stands in braces or brackets; add to it there",
    "Unterminated string": "a text that begins here or above has no closing quote",
    "Illegal character": "{0} can't stand here; if it ends a text, the closing quote is missing",
    "Unescaped": "a backslash in a text is written \\\\; or put the text in single quotes",
    "Invalid hex": "\\u in a text needs hex digits; a backslash alone is written \\\\",
    "Invalid value": "no value that TOML knows; texts need quotes, true and false are lower case",
    "Expected '=' after": "a key needs `= value` behind it; one with a space or a / needs quotes",
    "Expected newline": "there is more on this line than one key = value; texts need quotes",
    "Expected ']]'": "a [[route]] header ends in two brackets",
    "Expected ']'": _HEADER,
    "Unclosed array": "a list that begins here or above is not closed, or a comma is missing",
    "Unclosed inline": "a table in braces is not closed, or a comma is missing",
    "Invalid initial character": 'a key is missing or needs quotes, as in `".a.b" = 1`',
    "Invalid statement": _STATEMENT,
    "Invalid date": "no such date or time",
}
"""What tomli's messages begin with, and what to tell people who don't know TOML."""
_TOO_DEEP = "lists or tables are nested too deeply; routerd needs a few levels"


@dataclass(frozen=True)
class Document:
    """A file that is TOML."""

    values: Mapping[str, object]
    lines: Lines


def read_document(path: Path) -> Document:
    """The values of a TOML file and their lines.

    Raises:
        ConfigError: with one problem: it can't be read, or its first syntax error.
    """
    text = _decode(_read(path))
    try:
        values = tomli.loads(text)
        lines = index_lines(text)
    except tomli.TOMLDecodeError as exc:
        raise _refused(_sentence(exc), line=min(exc.lineno, _last_line(text))) from None
    except TooDeepError as exc:
        raise _refused(_TOO_DEEP, line=exc.line) from None
    except RecursionError:
        raise _refused(_TOO_DEEP) from None
    except ValueError:
        # Python's own limit on the digits of a number; TOMLDecodeError went above.
        long = re.search(r"\d{4000}", text)
        line = text.count("\n", 0, long.start()) + 1 if long else 0
        raise _refused("a number here has thousands of digits", line=line) from None
    return Document(values, lines)


def _read(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise _refused("is a directory; name the TOML file in it")
        with path.open("rb") as file:
            raw = file.read(LONGEST + 1)
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "no legal path"
        raise _refused(f"can't be read: {reason}") from exc
    if len(raw) > LONGEST:
        raise _refused("is over 16 MiB; a routing table is not that large, is it another file?")
    return raw


def _decode(raw: bytes) -> str:
    if raw.startswith(b"\xef\xbb\xbf"):
        raise _refused("begins with a byte order mark; save the file as UTF-8 without one", line=1)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _refused("is UTF-16; save the file as UTF-8", line=1)
    try:
        return raw.decode()
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        raise _refused(
            f"byte 0x{raw[exc.start]:02x} is not UTF-8; save the file as UTF-8", line=line
        ) from None


def _sentence(error: tomli.TOMLDecodeError) -> str:
    if error.msg == "Illegal character '\\n'":
        return "not TOML: a text on this line has no closing quote"
    for start, sentence in _FRIENDLY.items():
        if error.msg.startswith(start):
            return "not TOML: " + sentence.format(_subject(error.msg))
    return f"not TOML: {error.msg}"


def _subject(message: str) -> str:
    """What tomli's message is about: a table by its header, or a character."""
    names = re.search(r"\((.*)\)", message)
    if names is None:
        return message.rsplit(" ", maxsplit=1)[-1]
    return "[" + ".".join(re.findall(r"'([^']*)'", names[1])) + "]"


def _last_line(text: str) -> int:
    return text.rstrip("\n").count("\n") + 1


def _refused(sentence: str, *, line: int = 0) -> ConfigError:
    return ConfigError([Problem(line, sentence)])
