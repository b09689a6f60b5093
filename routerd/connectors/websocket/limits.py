"""What the clients of one listener may take: `[ws.limits]`, read and checked.

Everything has a limit, and every limit a default that a stranger's browser never meets.
"""

from dataclasses import dataclass

from routerd.section import Section


@dataclass(frozen=True)
class Limits:
    """The limits of one listener; times in seconds.

    Attributes:
        connections: clients at a time, those in a handshake included.
        connections_per_address: of them from one address.
        handshake_rate: handshakes a second from one address, in the long run.
        handshake_timeout: for a client to say what it wants.
        max_message: bytes of a message, all of its fragments together.
        max_fragments: of a message.
        ping_every: 0: never.
        pong_timeout: for a client to answer a ping.
        close_timeout: for a client to answer a close frame.
    """

    connections: int = 10_000
    connections_per_address: int = 100
    handshake_rate: int = 20
    handshake_timeout: float = 5.0
    max_message: int = 1 << 20
    max_fragments: int = 1024
    ping_every: float = 20.0
    pong_timeout: float = 20.0
    close_timeout: float = 5.0


DEFAULTS = Limits()


def read_limits(listener: Section, key: str) -> Limits:
    """`[ws.limits]` of a listener that is called `key`; the defaults without one."""
    whole = listener.section("limits")
    if whole is None:
        return DEFAULTS
    whole.label = f"[{key}.limits]"
    whole.takes_references = True
    limits = _read(whole)
    whole.finish()
    return limits


def _read(whole: Section) -> Limits:
    return Limits(
        connections=_count(whole, "connections", DEFAULTS.connections),
        connections_per_address=_count(
            whole, "connections_per_address", DEFAULTS.connections_per_address
        ),
        handshake_rate=_count(whole, "handshake_rate", DEFAULTS.handshake_rate),
        handshake_timeout=_time(whole, "handshake_timeout", DEFAULTS.handshake_timeout),
        max_message=whole.size(
            "max_message", least="1B", most="64MiB", default=DEFAULTS.max_message
        ),
        max_fragments=_count(whole, "max_fragments", DEFAULTS.max_fragments),
        ping_every=whole.duration("ping_every", least="0s", most="1h", default=DEFAULTS.ping_every),
        pong_timeout=_time(whole, "pong_timeout", DEFAULTS.pong_timeout),
        close_timeout=_time(whole, "close_timeout", DEFAULTS.close_timeout),
    )


def _count(whole: Section, key: str, default: int) -> int:
    return whole.integer(key, least=1, most=1_000_000, default=default)


def _time(whole: Section, key: str, default: float) -> float:
    return whole.duration(key, least="100ms", most="10m", default=default)
