"""JSON payloads, decoded only as far as a route looks into them.

One struct is generated for the fields that a route names; msgspec skips the rest. A path that
goes through a number may mean an element of an array or a field called so, and is walked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

MISSING: Final = UNSET
"""What a field that isn't there reads as."""


class _NotJson:
    def __repr__(self) -> str:
        return "NOT_JSON"


NOT_JSON: Final = _NotJson()
"""The document of a payload that is not JSON."""

Path = tuple[str, ...]
Reader = Callable[[object], object]


def compile_fields(paths: Iterable[Path]) -> tuple[Callable[[bytes], object], dict[Path, Reader]]:
    """A decoder for payloads, and for each path what reads it from a decoded document."""
    paths = set(paths)
    tree = _Node()
    for path in sorted(paths):
        tree.add(path)
    decode_struct = msgspec.json.Decoder(tree.to_type()).decode
    decode_any = msgspec.json.Decoder().decode

    def decode(payload: bytes) -> object:
        try:
            return decode_struct(payload)
        except msgspec.ValidationError:
            # JSON of another shape than the paths expect: walked instead.
            pass
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return NOT_JSON
        try:
            return decode_any(payload)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return NOT_JSON

    return decode, {path: _reader(path, tree) for path in paths}


class _Node:
    """One step of the paths: the fields below it, or everything (`is_whole`)."""

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.is_whole = False

    def add(self, path: Path) -> None:
        if not path or path[0].isdigit():
            self.is_whole = True
        else:
            self.children.setdefault(path[0], _Node()).add(path[1:])

    def to_type(self) -> object:
        """What msgspec decodes this step as."""
        if self.is_whole or not self.children:
            return object
        names = list(self.children)
        fields = [
            (f"f{index}", _or_unset(self.children[name].to_type()), UNSET)
            for index, name in enumerate(names)
        ]
        rename = {f"f{index}": name for index, name in enumerate(names)}
        return msgspec.defstruct("Fields", fields, rename=rename, gc=False)


def _or_unset(kind: object) -> object:
    return object if kind is object else kind | UnsetType


def _reader(path: Path, tree: _Node) -> Reader:
    """Attribute by attribute as far as the struct goes, the rest walked."""
    node = tree
    attributes: list[str] = []
    while not node.is_whole and node.children and len(attributes) < len(path):
        step = path[len(attributes)]
        attributes.append(f"f{list(node.children).index(step)}")
        node = node.children[step]
    rest = path[len(attributes) :]

    def read(document: object) -> object:
        if not isinstance(document, msgspec.Struct):
            return _walk(document, path)
        found: object = document
        for attribute in attributes:
            if not isinstance(found, msgspec.Struct):
                return MISSING
            found = getattr(found, attribute)
        return _walk(found, rest)

    return read


def _walk(value: object, path: Path) -> object:
    for step in path:
        if isinstance(value, dict):
            value = value.get(step, MISSING)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return MISSING
    return value
