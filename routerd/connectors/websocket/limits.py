"""What the clients of one listener may take: `[ws.limits]`, read and checked.

Everything has a limit, and every limit a default that a stranger's browser never meets.
"""

from dataclasses import dataclass, replace

from routerd.connectors.websocket.bucket import BURST_SECONDS
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
        control_rate: pings, pongs and other control frames a second from one client.
        message_rate: messages a second from one client; 0: any.
        byte_rate: bytes a second from one client; 0: any.
        rate_patience: that a client may go on saying more than these two.
        ping_every: 0: never.
        pong_timeout: for a client to answer a ping.
        idle_timeout: that nothing is heard of a client; 0: any time.
        close_timeout: for a client to answer a close frame.
        send_timeout: that a client may take nothing of what is sent to it.
        queue_bytes: that wait for a client; a lone frame may exceed it.
        queue_messages: that wait for a client.
    """

    connections: int = 10_000
    connections_per_address: int = 100
    handshake_rate: int = 20
    handshake_timeout: float = 5.0
    max_message: int = 1 << 20
    max_fragments: int = 1024
    control_rate: int = 20
    # No rate of messages fits both a chat and a machine, and a route that is full isn't read.
    message_rate: int = 0
    byte_rate: int = 0
    rate_patience: float = 10.0
    ping_every: float = 20.0
    pong_timeout: float = 20.0
    idle_timeout: float = 60.0
    close_timeout: float = 5.0
    send_timeout: float = 10.0
    queue_bytes: int = 1 << 20
    queue_messages: int = 1000


DEFAULTS = Limits()


def read_limits(listener: Section, key: str) -> Limits:
    """`[ws.limits]` of a listener that is called `key`; the defaults without one."""
    whole = listener.section("limits")
    if whole is None:
        return DEFAULTS
    whole.label = f"[{key}.limits]"
    whole.takes_references = True
    limits = _read(whole)
    if "idle_timeout" not in whole:
        limits = replace(limits, idle_timeout=max(limits.idle_timeout, _answered(limits)))
    whole.finish()
    _refuse_contradictions(whole, limits)
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
        control_rate=_count(whole, "control_rate", DEFAULTS.control_rate),
        message_rate=whole.integer("message_rate", least=0, most=1_000_000, default=0),
        byte_rate=whole.size("byte_rate", least="0B", most="1GiB", default=0),
        rate_patience=_time(whole, "rate_patience", DEFAULTS.rate_patience),
        ping_every=whole.duration("ping_every", least="0s", most="1h", default=DEFAULTS.ping_every),
        pong_timeout=_time(whole, "pong_timeout", DEFAULTS.pong_timeout),
        idle_timeout=whole.duration(
            "idle_timeout", least="0s", most="1d", default=DEFAULTS.idle_timeout
        ),
        close_timeout=_time(whole, "close_timeout", DEFAULTS.close_timeout),
        send_timeout=_time(whole, "send_timeout", DEFAULTS.send_timeout),
        queue_bytes=whole.size(
            "queue_bytes", least="1KiB", most="1GiB", default=DEFAULTS.queue_bytes
        ),
        queue_messages=_count(whole, "queue_messages", DEFAULTS.queue_messages),
    )


def _refuse_contradictions(whole: Section, limits: Limits) -> None:
    """Limits that can't be meant together, since one of them cuts off who keeps the others."""
    answered = _answered(limits)
    if not limits.ping_every and not limits.idle_timeout:
        whole.problem(
            "ping_every",
            f"{whole.label} has neither `ping_every` nor `idle_timeout`: a client that has "
            "vanished would stay for ever; set one of them",
        )
    elif limits.ping_every and 0 < limits.idle_timeout < answered:
        whole.problem(
            "idle_timeout",
            f"`idle_timeout` of {whole.label} is {limits.idle_timeout:g} s, but who has nothing "
            f"to say is heard of only by its pongs, after `ping_every` and `pong_timeout`: raise "
            f'it to "{answered:g}s", or lower those',
        )
    if limits.ping_every and limits.ping_every * limits.control_rate < 1:
        whole.problem(
            "ping_every",
            f"`ping_every` of {whole.label} asks for more pongs than `control_rate` lets through; "
            "raise one of them",
        )
    largest = limits.byte_rate * (BURST_SECONDS + limits.rate_patience)
    if limits.byte_rate and largest < limits.max_message:
        whole.problem(
            "byte_rate",
            f"`byte_rate` of {whole.label} cuts off who sends one message of `max_message`: in "
            f"{BURST_SECONDS:g} s and `rate_patience` together it lets through {largest:.0f} bytes "
            f"of {limits.max_message}; raise it, or lower `max_message`",
        )


def _answered(limits: Limits) -> float:
    """Seconds within which something is heard of everybody who keeps the limits."""
    return limits.ping_every + limits.pong_timeout if limits.ping_every else 0.0


def _count(whole: Section, key: str, default: int) -> int:
    return whole.integer(key, least=1, most=1_000_000, default=default)


def _time(whole: Section, key: str, default: float) -> float:
    return whole.duration(key, least="100ms", most="10m", default=default)
