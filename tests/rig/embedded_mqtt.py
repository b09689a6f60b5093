"""rumqttd, an MQTT broker that comes as a wheel (`iotcore`): for tests without mosquitto.

Sessions live in its memory. Retained messages don't reach clients of its MQTT 5 listener.
"""

import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.rig.ports import free_port
from tests.rig.process import Child
from tests.rig.waiting import accepts

_LISTENER = """
[{version}.1]
name = "{version}"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[{version}.1.connections]
connection_timeout_ms = 5000
max_payload_size = 1048576
max_inflight_count = 1000
dynamic_filters = true
"""
_ROUTER = """
id = 0
[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 1000
max_segment_size = 16777216
max_segment_count = 10
"""


class EmbeddedMqtt:
    """A rumqttd on 127.0.0.1, running from `start` (or `with`) to `stop`.

    `port` and `url` speak MQTT 5, `port_311` and `url_311` MQTT 3.1.1.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.port_311 = free_port()
        self.child: Child | None = None
        self._temporary = tempfile.TemporaryDirectory(prefix="rumqttd-")
        self._folder = Path(self._temporary.name)
        listeners = [
            _LISTENER.format(version="v5", port=self.port),
            _LISTENER.format(version="v4", port=self.port_311),
        ]
        (self._folder / "rumqttd.toml").write_text("".join([_ROUTER, *listeners]))

    @property
    def url(self) -> str:
        """The MQTT 5 listener as routerd's `[mqtt]` table wants it."""
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def url_311(self) -> str:
        """The MQTT 3.1.1 listener."""
        return f"mqtt://127.0.0.1:{self.port_311}"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kills it and removes its files."""
        if self.child is not None:
            self.child.kill()
        self._temporary.cleanup()

    def start(self) -> None:
        """Returns when both listeners accept connections."""
        program = [sys.executable, "-m", "iotcore", "--config", f"{self._folder}/rumqttd.toml"]
        program += ["--log-level", "critical"]  # it calls every message an error
        self.child = Child(program, name="rumqttd", folder=self._folder)
        ports = (self.port, self.port_311)
        self.child.wait_ready(lambda: all(map(accepts, ports)), timeout=10)

    def stop(self) -> None:
        """Ends it; its sessions are gone."""
        self._running().kill()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and silent."""
        self._running().freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        self._running().thaw()

    def restart(self) -> None:
        """A new one on the same ports, which knows nobody."""
        self.stop()
        self.start()

    def _running(self) -> Child:
        assert self.child is not None, "rumqttd was never started"
        return self.child
