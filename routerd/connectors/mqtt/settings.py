"""What the table says of an MQTT connection and of a route's filters, checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from routerd.secrets import Secret


@dataclass(frozen=True)
class MqttSettings:
    """One `[mqtt]` table.

    Attributes:
        key: `mqtt`, or `mqtt.NAME`.
        path: of the WebSocket endpoint, for ws and wss.
        keepalive: seconds.
        session_expiry: seconds that the broker shall keep our session.
        max_packet: bytes; a larger PUBLISH is not routed.
    """

    key: str
    scheme: Literal["mqtt", "mqtts", "ws", "wss"]
    host: str
    port: int
    path: str = "/mqtt"
    client_id: str | None = None
    version: Literal["5", "3.1.1"] = "5"
    username: str | None = None
    password: Secret | None = None
    ca: Path | None = None
    cert: Path | None = None
    cert_key: Path | None = None
    cert_key_password: Secret | None = None
    keepalive: int = 60
    session_expiry: int = 7 * 86400
    max_packet: int = 1 << 20

    @property
    def address(self) -> str:
        """Where the broker is, for people; without user name and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        path = self.path if self.scheme in {"ws", "wss"} else ""
        return f"{self.scheme}://{host}:{self.port}{path}"


@dataclass(frozen=True)
class MqttFilter:
    """One subscription.

    Attributes:
        filter: as SUBSCRIBE takes it, `$share/g/` included.
        drops_retained: whether messages that the broker had retained are dropped
            (`retained = "drop"`).
    """

    filter: str
    qos: Literal[0, 1] = 1
    drops_retained: bool = False


@dataclass(frozen=True)
class MqttSourceSpec:
    """A route's input.

    Attributes:
        session: the whole client identifier; names the session that the broker keeps.
    """

    filters: tuple[MqttFilter, ...]
    session: str
