"""What the table says of a WebSocket listener, a route's paths and its groups, checked."""

from dataclasses import dataclass

from routerd.address import Pattern
from routerd.certificate import CertificateFiles
from routerd.connectors.websocket.entry.settings import OPEN, EntrySettings
from routerd.connectors.websocket.limits import DEFAULTS, Limits
from routerd.feed import Slow
from routerd.template import Template


@dataclass(frozen=True)
class ListenerSettings:
    """One `[ws]` table.

    Attributes:
        key: `ws`, or `ws.NAME`.
        port: 0 picks a free one.
        codec: a name of `codecs.CODECS`.
        bad_frames: so many frames that the codec can't read end a client.
        goodbye_spread: seconds over which clients are sent home when routerd stops.
        entry: who may come in.
        require_ack: whether only clients that speak `routerd.ack.v1` come in.
        limits: what its clients may take.
        certificate: that it shows; None: it speaks no TLS.
    """

    key: str
    host: str
    port: int
    codec: str = "raw"
    bad_frames: int = 10
    goodbye_spread: float = 2.0
    entry: EntrySettings = OPEN
    require_ack: bool = False
    limits: Limits = DEFAULTS
    certificate: CertificateFiles | None = None


@dataclass(frozen=True)
class WebSocketSourceSpec:
    """A route's input: `ws:/PATH` or `ws:/PATH#TYPE`, one or several.

    Attributes:
        wanted: each pattern with the one type that is taken; None: any.
    """

    wanted: tuple[tuple[Pattern, str | None], ...]


@dataclass(frozen=True)
class GroupSinkSpec:
    """A route's output: `group:/PATH` or `group:/PATH#TYPE`.

    Attributes:
        address: as written, without the type.
        segments: one template for each segment of the path; a segment `{rest#}` stands for as
            many segments as it captured.
        type: what is sent is of this type; None: of the one that it came with.
        slow: what becomes of members that don't keep up.
    """

    address: str
    segments: tuple[Template, ...]
    type: str | None = None
    slow: Slow = "disconnect"


@dataclass(frozen=True)
class ReplySinkSpec:
    """A route's output: `reply:` or `reply:#TYPE`.

    Attributes:
        type: what is sent is of this type; None: of the one that it came with.
    """

    type: str | None = None
