"""What a routing table says, checked and complete: what the daemon is built from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from routerd.address import Pattern
from routerd.checks import Session, Terms
from routerd.problems import Problem
from routerd.shape import Body, When
from routerd.template import Reference, Template

OnError = Literal["stop", "drop"]
Guarantee = Literal["at_least_once", "at_most_once"]


@dataclass(frozen=True)
class AdminSettings:
    """`[admin]`: /metrics, /livez, /readyz and the status page. Port 0 picks a free one."""

    host: str = "127.0.0.1"
    port: int = 9464
    enabled: bool = True


@dataclass(frozen=True)
class DaemonSettings:
    """`[daemon]`.

    Attributes:
        drain_timeout: seconds for what is in flight when routerd stops.
    """

    drain_timeout: float = 10.0


@dataclass(frozen=True)
class ConnectionModel:
    """One connection.

    Attributes:
        key: its table: `mqtt`, `kafka.audit`; `log` is always there.
        connector: `mqtt`, `kafka`, `websocket` or `log`.
        settings: what that connector's checks made of it.
    """

    key: str
    connector: str
    settings: object


@dataclass(frozen=True)
class SourceModel:
    """A route's `from`.

    Attributes:
        spec: for the connector's `open_source`.
        patterns: one for each address; all of them define every capture.
        session: what the broker keeps for this route, if it does.
        rests_on: what the promise needs of the broker, in sentences.
        hints: how it could promise more, in sentences.
    """

    connection: str
    spec: object
    patterns: tuple[Pattern, ...]
    session: Session | None = None
    rests_on: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


@dataclass(frozen=True)
class SinkModel:
    """One of a route's `to`.

    Attributes:
        text: the address as written.
        spec: for the connector's `open_sink`.
        required: whether an acknowledgement waits for it.
        terms: what it says of the places that it sends to.
    """

    text: str
    connection: str
    spec: object
    required: bool
    terms: Terms | None = None


@dataclass(frozen=True)
class RouteModel:
    """One `[[route]]`.

    Attributes:
        line: of its header.
        source_text: its `from` as written, several with commas between them.
        key: of the Kafka record; None: null.
        when: None takes every message.
        body: None leaves the payload untouched.
        payload: `json` makes any other payload an error of that message.
        on_error: what becomes of a message that can't be routed or is refused for good.
        inflight: most messages unconfirmed at a time.
        max_destinations: most distinct topics that its templates may create.
        guarantee: what the author counts on; the route keeps it.
        promise: what it does, in one line.
        references: of all its templates together, each once.
    """

    name: str
    line: int
    source_text: str
    source: SourceModel
    sinks: tuple[SinkModel, ...]
    key: Template | None
    headers: Mapping[str, Template]
    when: When | None
    body: Body | None
    payload: Literal["json"] | None
    on_error: OnError
    inflight: int
    inflight_bytes: int
    max_destinations: int
    guarantee: Guarantee | None
    promise: str
    references: tuple[Reference, ...]


@dataclass(frozen=True)
class Table:
    """The whole file.

    Attributes:
        connections: by their key.
        warnings: what the author should know, in the order of lines.
    """

    connections: Mapping[str, ConnectionModel]
    admin: AdminSettings
    daemon: DaemonSettings
    routes: tuple[RouteModel, ...]
    warnings: tuple[Problem, ...] = field(default=())
