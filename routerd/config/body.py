"""`body`: the new payload, as a table of templates or as one text."""

import math
from collections.abc import Mapping

from routerd.config.references import References
from routerd.findings import KeyPath, kind_of, quoted
from routerd.section import Section
from routerd.shape import Body, BodyValue
from routerd.template import Template

_INTEGERS = range(-(1 << 63), 1 << 64)
"""What JSON libraries, ours included, take as a whole number."""


def read_body(route: Section, *, skip: frozenset[str], references: References) -> Body | None:
    """The body; None without one. Fields named in `skip` are left out."""
    value = route.raw("body")
    path = (*route.path, "body")
    where = f"`body` of {route.label}"
    if value is None:
        return None
    reader = _Reader(route, references, where)
    if isinstance(value, str):
        return references.read(value, path, where)
    if isinstance(value, Mapping):
        return reader.table({k: v for k, v in value.items() if k not in skip}, path)
    route.problem(
        "body", f"{where} must be a table of templates, or one text, not {kind_of(value)}"
    )
    return None


class _Reader:
    """Goes through the values of one body."""

    def __init__(self, route: Section, references: References, where: str) -> None:
        self._findings = route.findings
        self._references = references
        self._where = where
        self._depth = len(route.path) + 1

    def table(self, values: Mapping[str, object], path: KeyPath) -> Mapping[str, BodyValue]:
        """A JSON object; what is wrong in it is left out."""
        fields: dict[str, BodyValue] = {}
        for name, value in values.items():
            if "{" in name:
                self._findings.warn(
                    (*path, name),
                    f"{self._where}: the name {quoted(name)} is taken as it stands, braces mean "
                    "something in values only; write it without them unless that is meant",
                )
            read = self._value(value, (*path, name))
            if read is not None:
                fields[name] = read
        return fields

    def _value(self, value: object, path: KeyPath) -> BodyValue | None:
        match value:
            case str():
                return self._template(value, path)
            case Mapping():
                return self.table(value, path)
            case list():
                read = [self._value(one, (*path, index)) for index, one in enumerate(value)]
                return [one for one in read if one is not None]
            case bool() | int() | float() if _is_json(value):
                return value
            case _:
                self._refuse(value, path)
                return None

    def _template(self, text: str, path: KeyPath) -> Template | None:
        return self._references.read(text, path, f"{self._name(path)} in {self._where}")

    def _refuse(self, value: object, path: KeyPath) -> None:
        mend = "write it as a text"
        if isinstance(value, int | float):
            mend = f"JSON has no such number; {mend}"
        self._findings.problem(
            path, f"{self._name(path)} in {self._where} can't be {kind_of(value)}: {mend}"
        )

    def _name(self, path: KeyPath) -> str:
        return quoted(".".join(map(str, path[self._depth :])))


def _is_json(value: float) -> bool:
    return value in _INTEGERS if isinstance(value, int) else math.isfinite(value)
