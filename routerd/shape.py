"""What `when`, `payload` and `body` make of a batch before the sinks see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import msgspec

from routerd.errors import DeliveryFailed
from routerd.message import Message
from routerd.scope import MISSING, NOT_JSON, Scope, encode_json
from routerd.template import Reference, Template

if TYPE_CHECKING:
    from routerd.scope import Value

Scalar = str | int | float | bool


@dataclass(frozen=True)
class Condition:
    """What one reference must be; everything given must hold.

    Attributes:
        one_of: it equals one of these.
        none_of: it equals none of these.
        present: it is there and not null, or it is not.
        min: it is a number, and at least this.
        max: it is a number, and at most this.
    """

    one_of: tuple[Scalar, ...] | None = None
    none_of: tuple[Scalar, ...] | None = None
    present: bool | None = None
    min: float | None = None
    max: float | None = None


When = Mapping[Reference, Condition]
"""The table `when`: all of its conditions must hold."""

BodyValue = Template | Scalar | Sequence["BodyValue"] | Mapping[str, "BodyValue"]
Body = Template | Mapping[str, "BodyValue"]
"""A template gives the payload as text, a table the payload as JSON."""


@dataclass(slots=True)
class Shaped:
    """A batch as its sinks get it.

    Attributes:
        messages: what the sinks are handed.
        indexes: where each of them was in the batch; None: all of them, in place.
        failures: index in the batch -> why that one can't be routed.
        filtered: how many did not match `when`.
    """

    messages: list[Message]
    indexes: list[int] | None = None
    failures: dict[int, DeliveryFailed] = field(default_factory=dict)
    filtered: int = 0

    def keep(self, index: int, message: Message) -> None:
        """Adds a message that was at `index` of the batch."""
        if self.indexes is None:
            self.indexes = []
        self.messages.append(message)
        self.indexes.append(index)


class Shape:
    """One route's `when`, `payload` and `body`, compiled."""

    def __init__(
        self,
        scope: Scope,
        *,
        when: When | None,
        body: Body | None,
        payload: Literal["json"] | None,
    ) -> None:
        self._scope = scope
        self._checks = [_compile_check(scope, r, c) for r, c in (when or {}).items()]
        self._body = None if body is None else _compile_body(scope, body)
        self._is_json = None if payload is None else _json_check(scope)

    def apply(
        self, messages: list[Message], received: float, problems: Mapping[int, DeliveryFailed]
    ) -> Shaped:
        """Looks into the messages as far as the route asks for, and makes of them what sinks get.

        Args:
            messages: of one batch, as the source put them; they stay as they are.
            received: seconds since 1970.
            problems: what can't be routed already; kept as failures.
        """
        self._scope.look(messages, received)
        if not (problems or self._checks or self._body or self._is_json):
            return Shaped(messages)
        shaped = Shaped([], [], dict(problems))
        for index, message in enumerate(messages):
            if index not in problems:
                self._shape(shaped, index, message)
        return shaped

    def _shape(self, shaped: Shaped, index: int, message: Message) -> None:
        if self._is_json is not None and not self._is_json(message):
            shaped.failures[index] = DeliveryFailed("the payload is not JSON", reason="unroutable")
            return
        try:
            if not all(check(message) for check in self._checks):
                shaped.filtered += 1
                return
            if self._body is not None:
                message = self._with_payload(message, self._body(message))
        except DeliveryFailed as error:
            shaped.failures[index] = error
            return
        shaped.keep(index, message)

    @staticmethod
    def _with_payload(message: Message, payload: bytes) -> Message:
        return Message(
            message.address,
            payload,
            message.token,
            None,  # the payload is no longer what its sender meant as text or binary
            message.origin,
            message.type,
            message.document,
            message.time,
        )


def _json_check(scope: Scope) -> Callable[[Message], bool]:
    if scope.looks_inside:
        return lambda message: message.document is not NOT_JSON
    decode = msgspec.json.Decoder(msgspec.Raw).decode

    def check(message: Message) -> bool:
        try:
            decode(message.payload)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return False
        return True

    return check


def _compile_check(
    scope: Scope, reference: Reference, condition: Condition
) -> Callable[[Message], bool]:
    value: Value = scope.compile_reference(reference)

    def holds(message: Message) -> bool:
        found = value(message)
        if isinstance(found, tuple):
            found = "/".join(found)
        is_there = found is not MISSING and found is not None
        if condition.present is not None and condition.present != is_there:
            return False
        if not is_there:
            return condition.present is False
        return _holds(found, condition)

    return holds


def _holds(found: object, condition: Condition) -> bool:
    if condition.one_of is not None and not any(_equal(found, x) for x in condition.one_of):
        return False
    if condition.none_of is not None and any(_equal(found, x) for x in condition.none_of):
        return False
    if condition.min is None and condition.max is None:
        return True
    if not isinstance(found, int | float) or isinstance(found, bool):
        return False
    return (condition.min is None or found >= condition.min) and (
        condition.max is None or found <= condition.max
    )


def _equal(found: object, wanted: Scalar) -> bool:
    """JSON's equality: true is not 1, but 1 is 1.0."""
    return isinstance(found, bool) == isinstance(wanted, bool) and found == wanted


def _compile_body(scope: Scope, body: Body) -> Callable[[Message], bytes]:
    if isinstance(body, Template):
        text = scope.compile_text(body)
        return lambda message: text(message).encode()
    build = _compile_value(scope, body)
    return lambda message: encode_json(build(message))


def _compile_value(scope: Scope, value: BodyValue) -> Callable[[Message], object]:
    if isinstance(value, Template):
        return scope.compile_value(value)
    if isinstance(value, Mapping):
        fields = [(name, _compile_value(scope, inner)) for name, inner in value.items()]
        return lambda message: {name: build(message) for name, build in fields}
    if isinstance(value, str | int | float | bool):
        return lambda message: value
    items = [_compile_value(scope, inner) for inner in value]
    return lambda message: [build(message) for build in items]
