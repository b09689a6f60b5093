"""What a route's templates see of a message, compiled once when the table is loaded.

Only what some reference of the route names is ever decoded: one generated struct holds just
those fields of the payload.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from routerd.claims import find_claim
from routerd.errors import DeliveryFailed
from routerd.fields import MISSING, NOT_JSON, compile_fields
from routerd.memory import remember

if TYPE_CHECKING:
    from routerd.address import Captured, Pattern
    from routerd.message import Message
    from routerd.template import Reference, Template

T_co = TypeVar("T_co", covariant=True)

_ENCODE = msgspec.json.Encoder().encode

Value = Callable[["Message"], object]
"""Gives what a reference stands for, or MISSING."""


class Renderer(Protocol[T_co]):
    """A template, compiled for one route.

    Attributes:
        is_static: it depends on nothing but `message.address`, so a sink may remember what it
            gave for each address.
    """

    is_static: bool

    def __call__(self, message: Message) -> T_co:
        """Renders it for one message.

        Raises:
            DeliveryFailed: a reference is missing; `unroutable`.
        """


class _Compiled:
    """A function that says whether it is static."""

    __slots__ = ("_render", "is_static")

    def __init__(self, render: Callable[[Message], object], *, is_static: bool) -> None:
        self._render = render
        self.is_static = is_static

    def __call__(self, message: Message) -> object:
        return self._render(message)


class Scope:
    """One route's view of its messages."""

    def __init__(self, patterns: Sequence[Pattern], references: Iterable[Reference]) -> None:
        self._patterns = patterns
        self._captures: dict[bytes, Mapping[str, Captured]] = {}
        references = set(references)
        paths = {reference.path for reference in references if reference.kind == "field"}
        self.looks_inside = bool(paths)
        self._needs_time = any(r.kind == "meta" and r.path == ("time",) for r in references)
        self._decode, self._readers = compile_fields(paths)

    def look(self, messages: Sequence[Message], received: float) -> None:
        """Sets `document` and `time` of these messages, as far as the route needs them."""
        if self.looks_inside:
            decode = self._decode
            for message in messages:
                message.document = decode(message.payload)
        if self._needs_time:
            for message in messages:
                message.time = received

    def captures(self, address: bytes) -> Mapping[str, Captured]:
        """What the route's patterns capture of an address; empty if none matches."""
        found = self._captures.get(address)
        if found is None:
            found = remember(self._captures, address, self._match(address))
        return found

    def compile_text(self, template: Template) -> Renderer[str]:
        """Gives the template as text; JSON values in it as compact JSON, strings as they are."""
        pieces = [p if isinstance(p, str) else self._text_of(p) for p in template.parts]
        return _compiled(_join(pieces), template)  # type: ignore[return-value]

    def compile_segments(self, segments: Sequence[Template]) -> Renderer[tuple[str, ...]]:
        """Gives the segments of a path; a rest capture gives as many as it took."""
        renderers = [self._segments_of(segment) for segment in segments]

        def render(message: Message) -> tuple[str, ...]:
            return tuple(text for renderer in renderers for text in renderer(message))

        return _Compiled(render, is_static=all(map(_is_static, segments)))  # type: ignore[return-value]

    def compile_value(self, template: Template) -> Renderer[object]:
        """Gives a JSON value: of its own type if the template is exactly one reference."""
        if len(template.parts) != 1 or isinstance(template.parts[0], str):
            return self.compile_text(template)
        reference = template.parts[0]
        value = self.compile_reference(reference)

        def render(message: Message) -> object:
            found = value(message)
            if found is MISSING or found is None:
                if reference.optional:
                    return None
                raise _missing(reference, message)
            return "/".join(found) if isinstance(found, tuple) else found

        return _compiled(render, template)

    def compile_reference(self, reference: Reference) -> Value:
        """Gives a reference's value, or MISSING; never raises."""
        match reference.kind:
            case "capture" | "rest":
                name, captures = reference.name, self.captures
                return lambda message: captures(message.address).get(name, MISSING)
            case "field":
                return _read_document(self._readers[reference.path])
            case "meta":
                return _METADATA[reference.name](reference.path)

    def _match(self, address: bytes) -> Mapping[str, Captured]:
        for pattern in self._patterns:
            levels = pattern.split(address)
            if levels is not None and (captures := pattern.match(levels)) is not None:
                return captures
        return {}

    def _text_of(self, reference: Reference) -> Callable[[Message], str]:
        value = self.compile_reference(reference)

        def render(message: Message) -> str:
            found = value(message)
            if type(found) is str:
                return found
            if found is MISSING or found is None:
                if reference.optional:
                    return ""
                raise _missing(reference, message)
            if type(found) is tuple:
                return "/".join(found)
            return encode_json(found).decode()

        return render

    def _segments_of(self, segment: Template) -> Callable[[Message], tuple[str, ...]]:
        first = segment.parts[0] if segment.parts else ""
        if not isinstance(first, str) and first.kind == "rest":
            name, captures = first.name, self.captures

            def render_rest(message: Message) -> tuple[str, ...]:
                found = captures(message.address).get(name)
                if not isinstance(found, tuple):
                    raise _missing(first, message)
                return found

            return render_rest
        render = self.compile_text(segment)
        return lambda message: (render(message),)


def encode_json(value: object) -> bytes:
    """Compact JSON.

    Raises:
        DeliveryFailed: it is nested too deeply; `unroutable`.
    """
    try:
        return _ENCODE(value)
    except RecursionError:
        # Decoding took it, from a few frames further up: how deep is too deep depends on both.
        raise DeliveryFailed("its JSON is nested too deeply", reason="unroutable") from None


def _join(pieces: list[str | Callable[[Message], str]]) -> Callable[[Message], str]:
    if len(pieces) == 1 and not isinstance(pieces[0], str):
        return pieces[0]
    if all(isinstance(piece, str) for piece in pieces):
        text = "".join(map(str, pieces))
        return lambda message: text
    return lambda message: "".join([p if isinstance(p, str) else p(message) for p in pieces])


def _compiled(render: Callable[[Message], object], template: Template) -> Renderer[object]:
    return _Compiled(render, is_static=_is_static(template))


def _is_static(template: Template) -> bool:
    return all(
        reference.kind in ("capture", "rest") or reference.path == ("topic",)
        for reference in template.references
        if reference.kind != "field"
    ) and not any(reference.kind == "field" for reference in template.references)


def _missing(reference: Reference, message: Message) -> DeliveryFailed:
    if reference.kind == "field" and message.document is NOT_JSON:
        why = "the payload is not JSON"
    else:
        why = "it is missing or null"
    return DeliveryFailed(f"`{{{reference}}}` has no value: {why}", reason="unroutable")


def _read_document(read: Callable[[object], object]) -> Value:
    def value(message: Message) -> object:
        document = message.document
        return MISSING if document is NOT_JSON else read(document)

    return value


def _topic(path: tuple[str, ...]) -> Value:
    def value(message: Message) -> object:
        try:
            return message.address.decode()
        except UnicodeDecodeError:
            return MISSING

    return value


def _time(path: tuple[str, ...]) -> Value:
    def value(message: Message) -> object:
        whole, part = divmod(int(message.time * 1000), 1000)
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{part:03d}Z"

    return value


def _session(path: tuple[str, ...]) -> Value:
    return lambda message: MISSING if message.origin is None else message.origin.session


def _peer(path: tuple[str, ...]) -> Value:
    return lambda message: MISSING if message.origin is None else message.origin.peer


def _path(path: tuple[str, ...]) -> Value:
    return lambda m: MISSING if m.origin is None else m.origin.path.decode("ascii", "replace")


def _query(path: tuple[str, ...]) -> Value:
    name = path[1]
    return lambda m: MISSING if m.origin is None else m.origin.query.get(name, MISSING)


def _header(path: tuple[str, ...]) -> Value:
    name = path[1]
    return lambda m: MISSING if m.origin is None else m.origin.headers.get(name, MISSING)


def _claim(path: tuple[str, ...]) -> Value:
    name = path[1]
    return lambda m: MISSING if m.origin is None else find_claim(m.origin.claims, name)


def _type(path: tuple[str, ...]) -> Value:
    return lambda message: MISSING if message.type is None else message.type


def _never(path: tuple[str, ...]) -> Value:
    return lambda message: MISSING


_METADATA: dict[str, Callable[[tuple[str, ...]], Value]] = {
    "topic": _topic,
    "time": _time,
    "session": _session,
    "peer": _peer,
    "path": _path,
    "query": _query,
    "header": _header,
    "claim": _claim,
    # No source of this version has one; the checks refuse such a table.
    "key": _never,
    "type": _type,
}
__all__ = ["MISSING", "NOT_JSON", "Renderer", "Scope", "encode_json"]
