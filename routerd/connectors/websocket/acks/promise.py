"""What a route from WebSocket clients may promise, with answers and without."""

from collections.abc import Sequence
from dataclasses import replace

from routerd.checks import SourceFacts, Weakness
from routerd.connectors.websocket.acks.words import SUBPROTOCOL

_NO_MEMORY = Weakness(
    "WebSocket",
    "a WebSocket client gives no message again, unless it waits for answers; let in only those "
    "that do with `require_ack = true`, or read from mqtt: at QoS 1",
)
_EVENTS = Weakness(
    "session events",
    "a session event happens once, and nobody gives it again; take them in a route of their own "
    "that doesn't count on it",
)
_SENT_AGAIN = Weakness(
    "ack",
    "a client sends again what it had no answer to, and that may have gone through; remove "
    "`require_ack`",
)
_HINT = (
    f"a client that speaks {SUBPROTOCOL} is told what became of each of its messages; "
    "`require_ack = true` lets only such clients in, and makes it at least once"
)


def with_promise(
    facts: SourceFacts, *, require_ack: bool, are_events: Sequence[bool]
) -> SourceFacts:
    """Adds what keeps a route from losing a message, or from repeating one.

    Args:
        facts: of its input.
        require_ack: whether all of its clients wait for answers.
        are_events: of each of its addresses, whether it takes session events.
    """
    if all(are_events):
        return replace(facts, losses=(_EVENTS,))
    if not require_ack:
        return replace(facts, losses=(_NO_MEMORY,), hints=(_HINT,))
    return replace(
        facts,
        confirmation="ack",
        is_told=True,
        exceptions=(_EVENTS,) if any(are_events) else (),
        repeats=(_SENT_AGAIN,),
    )
