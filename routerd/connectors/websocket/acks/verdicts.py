"""What routes say of messages whose senders wait for an answer.

A message of such a client has a token; its origin is the session, at whose desk it is answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from routerd.connectors.websocket.acks.words import failure_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from routerd.connectors.websocket.acks.desk import Desk
    from routerd.connectors.websocket.session import Session
    from routerd.errors import DropReason
    from routerd.mailbox import Batch
    from routerd.message import Message


def settle(batches: Iterable[Batch], *, route: str) -> int:
    """Tells every sender what became of its messages, in one write each; how many there were."""
    desks: dict[Desk, None] = {}
    count = 0
    for batch in batches:
        failed = batch.failed
        for index, message in enumerate(batch.messages):
            if not message.token:
                continue
            count += 1
            desk = _desk_of(message)
            desks[desk] = None
            if index in failed:
                desk.ledger.fail(message.token, failure_of(route, failed[index]))
            else:
                desk.ledger.confirm(message.token)
    for desk in desks:
        desk.answer()
    return count


def abandon(messages: Iterable[Message], reason: DropReason, *, route: str) -> int:
    """Tells every sender that a route gave its messages up; how many there were."""
    failure = failure_of(route, reason)
    desks: dict[Desk, None] = {}
    count = 0
    for message in messages:
        if message.token:
            count += 1
            desk = _desk_of(message)
            desks[desk] = None
            desk.ledger.fail(message.token, failure)
    for desk in desks:
        desk.answer()
    return count


def _desk_of(message: Message) -> Desk:
    return cast("Desk", cast("Session", message.origin).desk)  # it gave the token
