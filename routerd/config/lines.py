"""Where each key and value of a TOML text stands.

tomli gives values without their lines. This reads a text that tomli has accepted already, so
it takes every token as legal and looks only for where things begin and end.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass, field

import tomli

from routerd.findings import KeyPath

_GAP = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    "|".join(
        [
            r'"""(?:\\.|[^\\])*?"""(?:"{0,2})',
            r"'''.*?'''(?:'{0,2})",
            r'"(?:\\.|[^"\\])*"',
            r"'[^']*'",
        ]
    ),
    re.DOTALL,
)
_PLAIN = re.compile(r"\d{4}-\d\d-\d\d [\d:.Zz+-]+|[^,\]}\s#]+")


DEEPEST = 64
"""Steps to a value; what reads the values later on calls itself once for each of them."""


class TooDeepError(Exception):
    """A value or a table is nested in too many others.

    Attributes:
        line: where.
    """

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line}")
        self.line = line


@dataclass(frozen=True)
class Lines:
    """The lines of one text.

    Attributes:
        of: path -> the 1-based line of that key, table header or array element. An array of
            tables stands where its first one does.
        long_tables: lines of inline tables that go over several lines.
    """

    of: dict[KeyPath, int] = field(default_factory=dict)
    long_tables: list[int] = field(default_factory=list)

    def find(self, path: KeyPath) -> int:
        """The line of what `path` leads to, or of the nearest thing around it; 1 without any."""
        while path:
            line = self.of.get(path)
            if line is not None:
                return line
            path = path[:-1]
        return 1


def index_lines(text: str) -> Lines:
    """The line of every key, table and array element of a text that tomli accepts.

    Raises:
        TooDeepError: something is nested more than `DEEPEST` deep.
    """
    scan = _Scan(text.replace("\r\n", "\n"))
    scan.document()
    return scan.lines


class _Scan:
    def __init__(self, text: str) -> None:
        self.lines = Lines()
        self._text = text
        self._at = 0
        self._breaks = [match.start() for match in re.finditer("\n", text)]
        self._counts: dict[KeyPath, int] = {}

    def document(self) -> None:
        table: KeyPath = ()
        self._skip(_GAP)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._key_and_value(table)
            self._skip(_GAP)

    def _header(self) -> KeyPath:
        line = self._line()
        is_array = self._text.startswith("[[", self._at)
        self._at += 2 if is_array else 1
        *parents, last = self._key()
        self._at += 2 if is_array else 1
        path: KeyPath = ()
        for part in parents:
            path = self._newest((*path, part), line)
        path = (*path, last)
        if is_array:
            self._counts[path] = self._counts.get(path, -1) + 1
        path = self._newest(path, line)
        self.lines.of[path] = line
        return path

    def _newest(self, path: KeyPath, line: int) -> KeyPath:
        """What a header means by `path`: of an array of tables the one that was opened last."""
        self.lines.of.setdefault(path, line)
        if path in self._counts:
            path = (*path, self._counts[path])
            self.lines.of.setdefault(path, line)
        return path

    def _key_and_value(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for part in self._key():
            path = (*path, part)
            self.lines.of.setdefault(path, line)
        self._at += 1  # the equals sign
        self._skip(_BLANK)
        self._value(path)

    def _key(self) -> list[str]:
        """The parts of a dotted key, and the blanks behind it."""
        parts: list[str] = []
        while True:
            self._skip(_BLANK)
            if self._text[self._at] in "\"'":
                parts.append(_unquoted(self._take(_STRING)))
            else:
                parts.append(self._take(_BARE_KEY))
            self._skip(_BLANK)
            if self._text[self._at] != ".":
                return parts
            if len(parts) > DEEPEST:
                raise TooDeepError(self._line())
            self._at += 1

    def _value(self, path: KeyPath) -> None:
        if len(path) > DEEPEST:
            raise TooDeepError(self._line())
        match self._text[self._at]:
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case '"' | "'":
                self._take(_STRING)
            case _:
                self._take(_PLAIN)

    def _array(self, path: KeyPath) -> None:
        index = 0
        while self._inside("]"):
            element = (*path, index)
            self.lines.of[element] = self._line()
            self._value(element)
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        first = self._line()
        while self._inside("}"):
            self._key_and_value(path)
        if self._line() != first:
            self.lines.long_tables.append(first)

    def _inside(self, end: str) -> bool:
        """Goes to the next element of a bracket, or behind its end."""
        if self._text[self._at] in "[{":
            self._at += 1
        self._skip(_GAP)
        if self._text[self._at] == ",":
            self._at += 1
            self._skip(_GAP)
        if self._text[self._at] == end:
            self._at += 1
            return False
        return True

    def _line(self) -> int:
        return bisect_left(self._breaks, self._at) + 1

    def _skip(self, gap: re.Pattern[str]) -> None:
        match = gap.match(self._text, self._at)
        if match:
            self._at = match.end()

    def _take(self, token: re.Pattern[str]) -> str:
        match = token.match(self._text, self._at)
        if match is None or not match.group():
            # Not reached with what tomli accepted; better than to go round for ever.
            raise ValueError(f"line {self._line()} is no TOML that can be indexed")
        self._at = match.end()
        return match.group()


def _unquoted(key: str) -> str:
    if "\\" not in key:
        return key[1:-1]
    return str(tomli.loads(f"key = {key}")["key"])
