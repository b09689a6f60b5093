"""The frames of `routerd.ack.v1`, which a person can type: read, and written.

    client   pub ID FRAME                 FRAME: what the listener's codec makes of a message
    server   ack ID
             nack ID retry|final REASON
             msg FRAME                    whatever else it sends, so that nobody forges an ack

A client's text or binary message stays what it is; the words in front are ASCII.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from routerd.connectors.websocket import frames
from routerd.errors import DeliveryFailed, DropReason

SUBPROTOCOL = "routerd.ack.v1"
_PUBLICATION = re.compile(rb"pub ([!-~]{1,64})(?: |\Z)")
_MESSAGE = b"msg "
_LONGEST_REASON = 200
_PASSING: frozenset[DropReason] = frozenset(
    {"overloaded", "route_restarted", "session_lost", "shutdown"}
)
"""The same message may go through when it is sent again."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_SHORT, _MEDIUM = 2, 4
_LONG = 10
"""Bytes of the header of a frame that a server sends (RFC 6455 section 5.2)."""


class Publication(NamedTuple):
    """A client's message and the name that it gave it."""

    ident: bytes
    frame: bytes


class Failure(NamedTuple):
    """Why a message went nowhere by one route, or by all of them.

    Attributes:
        text: for people; what a stranger may know.
        is_final: whether it is of no use to send it again.
    """

    text: str
    is_final: bool


UNMATCHED = Failure("unmatched: no route takes such a message", is_final=True)
UNDECODABLE = Failure("undecodable: its frame is not of this listener's codec", is_final=True)


def failure_of(route: str, error: DeliveryFailed | DropReason) -> Failure:
    """What a client is told when one of its routes fails.

    An error's sentence only where it is about what the client has sent: those of a sink are for
    the operator, and name topics and settings. They are in the log.
    """
    if not isinstance(error, DeliveryFailed):
        return Failure(f"{route}: {error}", error not in _PASSING)
    reason = error.reason
    text = f"{route}: {reason}: {error}" if reason == "unroutable" else f"{route}: {reason}"
    return Failure(text, reason not in _PASSING)


def read(data: bytes) -> Publication | None:
    """A client's message; None if it isn't one, or has no name that it could be answered by."""
    found = _PUBLICATION.match(data)
    return None if found is None else Publication(found[1], data[found.end() :])


def encode_ack(ident: bytes) -> bytes:
    """A frame that says yes."""
    return frames.encode(b"ack " + ident, is_text=True)


def encode_nack(ident: bytes, failures: Sequence[Failure], *, taken: int, routes: int) -> bytes:
    """A frame that says no.

    Args:
        ident: the client's name for the message.
        failures: at least one.
        taken: how many routes have it all the same.
        routes: how many were to take it.
    """
    # Sent again, it may go through where it was not refused for good.
    verdict = "final" if all(failure.is_final for failure in failures) else "retry"
    reason = ", ".join(failure.text for failure in failures)
    reason = _CONTROL.sub(" ", reason)
    if len(reason) > _LONGEST_REASON:
        reason = reason[:_LONGEST_REASON] + "..."
    if taken:
        reason += f"; {taken} of {routes} routes took it"
    said = f" {verdict} {reason}".encode("utf-8", "replace")
    return frames.encode(b"nack " + ident + said, is_text=True)


def as_message(frame: bytes) -> bytes:
    """The same frame with `msg ` before its payload; text stays text, and binary binary."""
    short = frame[1]
    header = _SHORT if short < 126 else _MEDIUM if short == 126 else _LONG  # noqa: PLR2004
    return frames.encode(_MESSAGE + frame[header:], is_text=frame[0] == frames.TEXT)
