"""What a broker's reason code means for a route: try again soon, or ask a person."""

from routerd.connectors.mqtt.client import Connack
from routerd.connectors.mqtt.settings import MqttFilter, MqttSettings
from routerd.errors import Rejected, Unavailable

TAKEN_OVER = 0x8E

_FIRST_ERROR = 0x80
_PASSES = {0x80, 0x83, 0x88, 0x89, 0x97, 0x9F}
"""Unspecified, implementation specific, unavailable, busy, over quota, too many connections."""
_STAYS = {0x87, 0x8A, 0x8C, 0x9C, 0x9D}
"""In a DISCONNECT: not authorized, banned, bad authentication method, use another server, moved."""
_OTHER_VERSION = {"5": "3.1.1", "3.1.1": "5"}
_UNSUPPORTED_VERSION = 0x84
_QUOTA = 0x97
_OUTRIGHT = {
    0x8F: "it takes no such filter",
    0x9E: "it has no shared subscriptions",
    0xA2: "it has no wildcard subscriptions",
}


def is_refused(code: int) -> bool:
    """Whether a reason code, of a CONNACK or of a filter, says no."""
    return code >= _FIRST_ERROR


def refused_connack(
    connack: Connack, settings: MqttSettings, *, session: str
) -> Unavailable | Rejected:
    """Why the broker refused CONNECT, as what it means for the route."""
    where, who = f"{settings.host}:{settings.port}", f" of {session!r}" if session else ""
    said = f"{where} refuses the connection{who}: {connack.reason} ({connack.code:#04x})"
    if connack.code in _PASSES:
        return Unavailable(said)
    if connack.code == _UNSUPPORTED_VERSION:
        other = _OTHER_VERSION[settings.version]
        return Rejected(f'{said}; set version = "{other}" in [{settings.key}]')
    if connack.reference:
        return Rejected(f"{said}; it names another server, {connack.reference}")
    return Rejected(f"{said}; check [{settings.key}]")


def refused_filter(entry: MqttFilter, code: int, *, route: str) -> Unavailable | Rejected:
    """Why the broker refused one filter of SUBSCRIBE."""
    said = f"the broker refuses route {route!r} the filter {entry.filter!r} ({code:#04x})"
    if code == _QUOTA:
        return Unavailable(f"{said}; its quota is used up")
    return Rejected(f"{said}; {_OUTRIGHT.get(code, 'may this user subscribe to it?')}")


def farewell(code: int, reason: str, reference: str) -> Unavailable | Rejected:
    """What the broker said when it ended the connection."""
    said = f"the broker ended the connection: {reason} ({code:#04x})"
    if reference:
        said = f"{said}; it names another server, {reference}"
    return Rejected(said) if code in _STAYS else Unavailable(said)


def taken_over(session: str, *, is_repeated: bool) -> Unavailable | Rejected:
    """What it means that somebody else came with our client identifier."""
    said = (
        f"another client connected as {session!r} and took its session over: do two "
        "routerd run with one client_id?"
    )
    # Each of the two would throw the other out again at once, and both get every message twice.
    return Rejected(said) if is_repeated else Unavailable(said)
