"""An MQTT broker to demonstrate with: rumqttd, from the wheel `iotcore`, in a child process."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from iotcore import Broker

RUMQTTD = """
id = 0
[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 1000
max_segment_size = 16777216
max_segment_count = 10
[v5.1]
name = "v5"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 5000
max_payload_size = 1048576
max_inflight_count = 1000
dynamic_filters = true
"""


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def open_broker() -> Iterator[int]:
    """Starts the child with an MQTT 5 listener and gives its port."""
    port = free_port()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rumqttd.toml"
        path.write_text(RUMQTTD.format(port=port))
        broker = Broker(config_path=str(path))
        # A Ctrl-C in a terminal goes to the child as well, which inherits that we ignore it.
        ours = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            broker.start()
        finally:
            signal.signal(signal.SIGINT, ours)
        try:
            yield port
        finally:
            broker.stop()
