"""One table of the routing table, read key by key.

Whoever checks a part of the file asks for typed values here and goes on after a mistake: what
is wrong is in the shared `Findings`, and the caller gets the default. Keys that nobody asked
for are unknown.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from routerd import units
from routerd.findings import (
    Findings,
    KeyPath,
    did_you_mean,
    kind_of,
    listed,
    named_variable,
    nearest,
    quoted,
    unfilled,
)
from routerd.secrets import Secret, SecretError, read_reference

Choice = TypeVar("Choice", bound=str)
Number = TypeVar("Number", int, float)

_ADDRESS = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<host>[^\s:\[\]/@]+))(?::(?P<port>[0-9]{1,5}))?"
)
LAST_PORT = 65535


class Section:
    """A reader over one table.

    Attributes:
        values: the table as the file has it.
        path: how to get to it.
        label: what sentences call it: `[mqtt]`, or ``route `chat` ``.
        findings: where mistakes go.
        folder: what relative paths of files start from.
        hints: see `finish`; for whoever knows what this table is in, and not what it is.
        takes_references: whether `{ file | env | credential }` may stand for any text in it.
    """

    def __init__(
        self,
        values: Mapping[str, object],
        *,
        path: KeyPath,
        label: str,
        findings: Findings,
        folder: Path,
    ) -> None:
        self.values = values
        self.path = path
        self.label = label
        self.findings = findings
        self.folder = folder
        self.hints: Mapping[str, str] = {}
        self.takes_references = False
        self._asked: set[str] = set()
        self._origins: dict[str, str] = {}

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def has_misspelt(self, key: str, known: Collection[str]) -> bool:
        """Whether a key that is none stands for this one: `finish` says so, and that is enough.

        Args:
            key: what is missing.
            known: every key that the table may have.
        """
        strange = (other for other in self.values if other not in known)
        called = f"it is called `{key}`"
        return any(
            self.hints[other.lower()].startswith(called)
            if other.lower() in self.hints
            else nearest(other, known) == key
            for other in strange
        )

    # --- findings

    def problem(self, key: str | None, sentence: str) -> None:
        """Records a problem at a key, or at the table's own line."""
        self.findings.problem(self._at(key), sentence)

    def warn(self, key: str | None, sentence: str) -> None:
        """Records a warning at a key, or at the table's own line."""
        self.findings.warn(self._at(key), sentence)

    def line(self, key: str | None = None) -> int:
        """The line of a key, or of the table."""
        return self.findings.line_of(self._at(key))

    def shown(self, key: str) -> str:
        """The value of a key for sentences; one that came by a reference only by its origin."""
        return self._origins.get(key) or quoted(self.values.get(key))

    # --- texts

    def raw(self, key: str) -> object:
        """The value as the file has it; None without one."""
        self._asked.add(key)
        return self.values.get(key)

    def text(self, key: str) -> str | None:
        """A text that is not empty, written in the file itself."""
        value = self.raw(key)
        if value is None:
            return None
        if not isinstance(value, str):
            self._wrong(key, "a text in quotes")
            return None
        if not value:
            self.problem(key, f"`{key}` of {self.label} is empty; write a value or remove it")
            return None
        return value

    def string(self, key: str) -> str | None:
        """A text, or what `{ file | env | credential }` stands for."""
        value = self.raw(key)
        if not isinstance(value, Mapping):
            return self._literal(key)
        secret = self._referred(key, value)
        return None if secret is None else secret.reveal()

    def secret(self, key: str) -> Secret | None:
        """What `{ file | env | credential }` stands for; a text in the file is refused."""
        value = self.raw(key)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.problem(
                key,
                f"`{key}` of {self.label} stands open in the file; write {{ file = "
                '"/path" }, { env = "NAME" } or { credential = "name" }, and change it',
            )
            return None
        return self._referred(key, value)

    def choice(self, key: str, options: Sequence[Choice], *, default: Choice) -> Choice:
        """One of a few words."""
        value = self._value(key)
        if value is None:
            return default
        for option in options:
            if value == option:
                return option
        meant = did_you_mean(value, options) if isinstance(value, str) else ""
        choices = listed((f'"{option}"' for option in options), mark="").replace(" and ", " or ")
        self.problem(
            key,
            f"{self._of(key)} must be {choices}, not {self.shown(key)}" + meant.replace("`", '"'),
        )
        return default

    def file(self, key: str) -> Path | None:
        """A path to a file that can be read."""
        value = self.string(key)
        if value is None:
            return None
        path = self.folder / value
        try:
            with path.open("rb") as file:
                file.read(1)
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "no legal path"
            self.problem(
                key,
                f"`{key}` of {self.label} can't be read: {self.shown(key)}: {reason}; name a file "
                "that routerd may read",
            )
            return None
        return path

    def listen(self, key: str, *, default: tuple[str, int]) -> tuple[str, int]:
        """Where a listener binds: `HOST:PORT`, port 0 for a free one."""
        value = self.string(key)
        if value is None:
            return default
        found = split_address(value)
        if found is None or found[1] is None:
            self.problem(
                key,
                f"{self._of(key)} must be HOST:PORT with a port from 0 to 65535, as in "
                f'"127.0.0.1:8800", not {self.shown(key)}',
            )
            return default
        return found[0], found[1]

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of texts that are not empty; None if there is none, or something else."""
        value = self.raw(key)
        if value is None:
            return None
        if not isinstance(value, list):
            self._wrong(key, 'a list of texts, as in ["a"]')
            return None
        texts = [self._resolved(key, one) for one in value]
        if None in texts:  # a reference that leads nowhere, which is said already
            return None
        strange = [one for one in texts if not isinstance(one, str) or not one]
        if strange:
            has = kind_of(strange[0])
            self.problem(key, f"{self._of(key)} must be a list of texts, and has {has} in it")
            return None
        return tuple(map(str, texts))

    # --- numbers

    def flag(self, key: str, *, default: bool) -> bool:
        """`true` or `false`."""
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self._wrong(key, "true or false, without quotes")
            return default
        return value

    def integer(self, key: str, *, least: int, most: int, default: int) -> int:
        """A whole number within bounds."""
        value = self.raw(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            self._wrong(key, "a whole number")
            return default
        if not least <= value <= most:
            self._outside(key, str(least), str(most))
            return default
        return value

    def duration(self, key: str, *, least: str, most: str, default: float) -> float:
        """A time in seconds, written with its unit: `"5s"`, `"250ms"`."""
        value = self._united(key, units.parse_duration, 'a time with its unit, as in "30s"')
        if value is None:
            return default
        if not units.parse_duration(least) <= value <= units.parse_duration(most):
            self._outside(key, f'"{least}"', f'"{most}"')
            return default
        return value

    def size(self, key: str, *, least: str, most: str, default: int) -> int:
        """A number of bytes, written with its unit: `"64KiB"`."""
        value = self._united(key, units.parse_size, 'a size with its unit, as in "64KiB"')
        if value is None:
            return default
        if not units.parse_size(least) <= value <= units.parse_size(most):
            self._outside(key, f'"{least}"', f'"{most}"')
            return default
        return value

    # --- tables

    def section(self, key: str) -> "Section | None":
        """A table inside this one; None if there is none, or something else."""
        value = self.raw(key)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self._wrong(key, "a table")
            return None
        return self.inner(value, key, label=f"`{key}` of {self.label}")

    def inner(self, values: Mapping[str, object], *steps: str | int, label: str) -> "Section":
        """A reader over a table further in, and the steps that lead to it."""
        return Section(
            values,
            path=(*self.path, *steps),
            label=label,
            findings=self.findings,
            folder=self.folder,
        )

    def finish(self, *, hints: Mapping[str, str] | None = None) -> None:
        """Reports every key that nobody asked for.

        Args:
            hints: what to say of keys that people write here by mistake, after
                "unknown key `broker` in [mqtt]; ".
        """
        hints = {**self.hints, **(hints or {})}
        for key in self.values:
            if key not in self._asked:
                self.problem(key, self._unknown(key, hints))

    def _unknown(self, key: str, hints: Mapping[str, str]) -> str:
        shown = quoted(key)[1:-1]
        what, takes = f"unknown key `{shown}` in {self.label}", "it takes"
        if not self.path:
            what, takes = f"unknown table [{shown}]", "routerd knows"
        hint = hints.get(key.lower())
        if hint:
            return f"{what}; {hint}"
        meant = did_you_mean(key, self._asked)
        return what + (meant or f"; {takes} {listed(sorted(self._asked))}")

    # --- the rest

    def _literal(self, key: str) -> str | None:
        """A text of the file; one with `${NAME}` in it waits for a shell that never comes."""
        text = self.text(key)
        variable = named_variable(text) if text else ""
        if variable:
            self.problem(key, f"`{key}` of {self.label} {unfilled(variable)}")
            return None
        return text

    def _at(self, key: str | None) -> KeyPath:
        return self.path if key is None else (*self.path, key)

    def _of(self, key: str) -> str:
        return f"`{key}` of {self.label}" if self.path else f"`{key}`"

    def _wrong(self, key: str, wanted: str) -> None:
        self.problem(key, f"{self._of(key)} must be {wanted}, not {self._kind(key)}")

    def _value(self, key: str) -> object:
        """The value of the file, or what a reference stands for where one may stand."""
        return self._resolved(key, self.raw(key))

    def _resolved(self, key: str, value: object) -> object:
        if not (self.takes_references and isinstance(value, Mapping)):
            return value
        secret = self._referred(key, value)
        return None if secret is None else secret.reveal()

    def _referred(self, key: str, reference: Mapping[str, object]) -> Secret | None:
        try:
            found = read_reference(reference, folder=self.folder)
        except SecretError as exc:
            self.problem(key, f"`{key}` of {self.label} {exc}")
            return None
        self._origins[key] = found.origin
        if found.warning:
            self.warn(key, f"`{key}` of {self.label}: {found.warning}")
        return found.secret

    def _united(self, key: str, parse: Callable[[str], Number], wanted: str) -> Number | None:
        value = self._value(key)
        if value is None:
            return None
        if not isinstance(value, str):
            self._wrong(key, wanted)
            return None
        try:
            return parse(value)
        except ValueError:
            self._wrong(key, wanted)
            return None

    def _kind(self, key: str) -> str:
        return self._origins.get(key) or kind_of(self.values[key])

    def _outside(self, key: str, least: str, most: str) -> None:
        word = "or" if (least, most) == ("0", "1") else "to"
        self.problem(key, f"{self._of(key)} must be {least} {word} {most}, not {self.shown(key)}")


def split_address(text: str) -> tuple[str, int | None] | None:
    """Host and port of `HOST:PORT`, `HOST` or `[::1]:PORT`; None if it is none of them."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        return None
    host = match["v6"] or match["host"]
    port = match["port"]
    if port is None:
        return host, None
    number = int(port)
    return (host, number) if number <= LAST_PORT else None
